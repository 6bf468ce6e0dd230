//! What to say and when: every number the planner uses.
//!
//! All of it is configuration. The values here are the ones
//! `config/backorderd.toml` ships; a test holds the two together.

use super::calendar::{Calendar, Weekdays};
use super::contact::Country;
use super::kinds::Kind;
use super::quiet_hours::{OpenHours, SendHours};
use super::retry::RetryPolicy;
use super::time::Length;
use chrono::{NaiveTime, Weekday};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Days added to the shop's ETA before it becomes a promise.
    pub buffer_days: u32,
    pub calendar: Calendar,
    pub confirmation: ConfirmationPolicy,
    pub updates: UpdatePolicy,
    pub courtesy: CourtesyPolicy,
    pub delay: DelayPolicy,
    pub sooner: SoonerPolicy,
    pub shipped: ShippedPolicy,
    pub cancelled: CancelledPolicy,
    pub overdue: OverduePolicy,
    pub belief: BeliefPolicy,
    pub sms: SmsPolicy,
    pub brake: BrakePolicy,
    pub retry: RetryPolicy,
}

/// Who confirms new orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmedBy {
    Us,
    /// The shop does it: every new line is adopted silently.
    Shop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfirmationPolicy {
    pub by: ConfirmedBy,
    /// A line first seen later than this after its order is adopted silently.
    pub max_age: Length,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdatePolicy {
    /// Days after the order, ascending.
    pub days: Vec<u32>,
    /// After the last of them, every so many days; none when absent.
    pub then_every: Option<u32>,
    /// Local hour, in the order's zone.
    pub at: NaiveTime,
    /// A milestone on another weekday moves to the next of these.
    pub on: Weekdays,
}

/// Limits for courtesy notices (`date_set`, `sooner`, `update`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CourtesyPolicy {
    /// A milestone is satisfied by any message within this gap before it, and
    /// two courtesy notices to one contact keep this distance.
    pub gap: Length,
    pub per_week_max: u32,
    /// Who has heard nothing for so many days is listed.
    pub silence_days: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DelayPolicy {
    pub threshold_days: u32,
    /// A changed date must stand this long before it is said.
    pub settle: Length,
    /// A slip of any size is told this many working days before the told day.
    pub last_call_working_days: u32,
    /// When news about dates goes out, in the order's zone.
    pub hours: SendHours,
    /// Within so many days of the told day, hours do not matter.
    pub near_days: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SoonerPolicy {
    pub threshold_days: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShippedPolicy {
    /// Gathers an order's lines.
    pub settle: Length,
    /// Waits this long for a tracking number when none came along.
    pub tracking_wait: Length,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CancelledPolicy {
    pub settle: Length,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverduePolicy {
    pub grace_working_days: u32,
}

/// Dates outside these bounds are not believed until a person says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeliefPolicy {
    pub ahead_days_max: u32,
    pub jump_days_max: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmsPolicy {
    /// True when a gateway is configured.
    pub enabled: bool,
    pub kinds: Vec<Kind>,
    /// In the recipient's zone.
    pub hours: SendHours,
    /// Empty: every country.
    pub countries: Vec<Country>,
    pub per_day_max: u32,
    /// A text longer than this many segments is not sent.
    pub segments_max: u32,
    /// Accents may go where that keeps a text in the small alphabet.
    pub transliterate: bool,
}

/// The storm brake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrakePolicy {
    pub per_hour: u32,
    /// Or this share of the open orders, whichever is more, in percent.
    pub per_hour_percent: u32,
    /// A held run that nobody approves lapses after this.
    pub lapse: Length,
}

impl BrakePolicy {
    /// Messages that may be committed in any hour without a person's look.
    pub fn limit(&self, open_orders: u64) -> u64 {
        u64::from(self.per_hour).max(open_orders * u64::from(self.per_hour_percent) / 100)
    }
}

fn hour(h: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(h, 0, 0).unwrap_or(NaiveTime::MIN)
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            buffer_days: 0,
            calendar: Calendar::default(),
            confirmation: ConfirmationPolicy {
                by: ConfirmedBy::Us,
                max_age: Length::hours(72),
            },
            updates: UpdatePolicy {
                days: vec![7, 14],
                then_every: Some(14),
                at: hour(10),
                on: Weekdays::MON_TO_FRI,
            },
            courtesy: CourtesyPolicy {
                gap: Length::days(5),
                per_week_max: 2,
                silence_days: 16,
            },
            delay: DelayPolicy {
                threshold_days: 2,
                settle: Length::mins(30),
                last_call_working_days: 1,
                hours: SendHours(vec![OpenHours {
                    on: Weekdays::MON_TO_SAT,
                    opens: hour(9),
                    closes: hour(18),
                }]),
                near_days: 1,
            },
            sooner: SoonerPolicy { threshold_days: 3 },
            shipped: ShippedPolicy {
                settle: Length::mins(10),
                tracking_wait: Length::mins(60),
            },
            cancelled: CancelledPolicy {
                settle: Length::mins(30),
            },
            overdue: OverduePolicy {
                grace_working_days: 1,
            },
            belief: BeliefPolicy {
                ahead_days_max: 400,
                jump_days_max: 120,
            },
            sms: SmsPolicy {
                enabled: false,
                kinds: vec![Kind::Delay, Kind::DateWithdrawn, Kind::Shipped],
                hours: SendHours(vec![
                    OpenHours {
                        on: Weekdays::from_days(&[Weekday::Sun]),
                        opens: hour(12),
                        closes: hour(18),
                    },
                    OpenHours {
                        on: Weekdays::ALL,
                        opens: hour(9),
                        closes: hour(20),
                    },
                ]),
                countries: Vec::new(),
                per_day_max: 200,
                segments_max: 2,
                transliterate: false,
            },
            brake: BrakePolicy {
                per_hour: 20,
                per_hour_percent: 5,
                lapse: Length::hours(24),
            },
            retry: RetryPolicy::default(),
        }
    }
}
