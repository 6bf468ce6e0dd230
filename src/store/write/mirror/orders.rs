//! Orders and their customers.

use super::{ContactHashes, MirrorInput};
use crate::domain::contact::{Contact, Country, EmailAddress, PhoneNumber};
use crate::domain::mirror::OrderChange;
use crate::store::codec::json;
use crate::store::conn::{Conn, statements};
use crate::store::statement::run;
use serde::Serialize;
use std::collections::HashMap;

const CONTACTS: &str = "
INSERT INTO contacts (shop_id, contact_hash, email, email_hash, phone, phone_hash, name, locale,
  zone, country, sms_consent, preferred)
SELECT CAST($2 AS BIGINT), j.value ->> 'contact_hash', j.value ->> 'email',
  j.value ->> 'email_hash', j.value ->> 'phone', j.value ->> 'phone_hash', j.value ->> 'name',
  j.value ->> 'locale', j.value ->> 'zone', j.value ->> 'country',
  CAST(j.value ->> 'sms_consent' AS BOOLEAN), j.value ->> 'preferred'
FROM jsonb_each($1) AS j WHERE true
ON CONFLICT (shop_id, contact_hash) DO UPDATE SET
  email = coalesce(excluded.email, contacts.email),
  email_hash = coalesce(excluded.email_hash, contacts.email_hash),
  phone = coalesce(excluded.phone, contacts.phone),
  phone_hash = coalesce(excluded.phone_hash, contacts.phone_hash),
  name = coalesce(excluded.name, contacts.name),
  locale = coalesce(excluded.locale, contacts.locale),
  zone = coalesce(excluded.zone, contacts.zone),
  country = coalesce(excluded.country, contacts.country),
  sms_consent = excluded.sms_consent, preferred = excluded.preferred";

/// Open orders of a customer about whom something is new, whatever order said
/// it. Run before the contacts are written. What decides whom a message goes to,
/// and whether it may, is a fact: a message planned before is not sent.
const WAKE_CONTACTS: &str = "
UPDATE orders SET review_version = review_version + 1, next_review_at = $3,
  fact_version = fact_version + c.moved
FROM (
  SELECT o.id, max(CASE WHEN k.email IS DISTINCT FROM coalesce(j.value ->> 'email', k.email)
      OR k.phone IS DISTINCT FROM coalesce(j.value ->> 'phone', k.phone)
      OR k.sms_consent <> CAST(j.value ->> 'sms_consent' AS BOOLEAN)
      OR k.preferred <> j.value ->> 'preferred' THEN 1 ELSE 0 END) AS moved,
    max(CASE WHEN k.name IS DISTINCT FROM coalesce(j.value ->> 'name', k.name)
      OR k.locale IS DISTINCT FROM coalesce(j.value ->> 'locale', k.locale)
      OR k.zone IS DISTINCT FROM coalesce(j.value ->> 'zone', k.zone)
      OR k.country IS DISTINCT FROM coalesce(j.value ->> 'country', k.country)
      THEN 1 ELSE 0 END) AS renamed
  FROM jsonb_each($1) AS j CROSS JOIN contacts k CROSS JOIN orders o
  WHERE k.shop_id = $2 AND k.contact_hash = j.value ->> 'contact_hash'
    AND o.contact_id = k.id AND o.closed_at IS NULL
  -- Grouped, so that SQLite finds them first and does not begin with all orders.
  GROUP BY o.id) AS c
WHERE orders.id = c.id AND c.moved + c.renamed > 0";

const ORDERS: &str = "
INSERT INTO orders (shop_id, order_key, number, contact_id, ordered_at, ordered_on, zone_used,
  first_seen_at, adopted_at, next_review_at, view_url, cancel_url, customer_deleted)
SELECT CAST($2 AS BIGINT), j.value ->> 'key', j.value ->> 'number', k.id,
  CAST(j.value ->> 'ordered_at' AS BIGINT), j.value ->> 'ordered_on', j.value ->> 'zone',
  CAST($3 AS BIGINT),
  CASE WHEN CAST(j.value ->> 'adopted' AS BOOLEAN) = TRUE THEN CAST($3 AS BIGINT) END,
  CAST($3 AS BIGINT), j.value ->> 'view_url', j.value ->> 'cancel_url',
  CAST(j.value ->> 'customer_deleted' AS BOOLEAN)
FROM jsonb_each($1) AS j CROSS JOIN contacts k
WHERE k.shop_id = $2 AND k.contact_hash = j.value ->> 'contact_hash'
ON CONFLICT (shop_id, order_key) DO UPDATE SET number = excluded.number,
  contact_id = excluded.contact_id, view_url = coalesce(excluded.view_url, orders.view_url),
  cancel_url = coalesce(excluded.cancel_url, orders.cancel_url),
  customer_deleted = orders.customer_deleted OR excluded.customer_deleted,
  fact_version = orders.fact_version + 1, review_version = orders.review_version + 1,
  next_review_at = $3, closed_at = NULL";

statements![CONTACTS, WAKE_CONTACTS, ORDERS];

#[derive(Serialize)]
struct ContactRow<'a> {
    contact_hash: &'a str,
    email: Option<String>,
    email_hash: Option<&'a str>,
    phone: Option<&'a str>,
    phone_hash: Option<&'a str>,
    name: Option<&'a str>,
    locale: Option<String>,
    zone: Option<String>,
    country: Option<&'a str>,
    sms_consent: bool,
    preferred: &'static str,
}

impl<'a> ContactRow<'a> {
    fn of(contact: &'a Contact, hashes: &'a ContactHashes) -> ContactRow<'a> {
        ContactRow {
            contact_hash: &hashes.contact,
            email: contact.email.as_ref().map(EmailAddress::expose),
            email_hash: hashes.email.as_deref(),
            phone: contact.phone.as_ref().map(PhoneNumber::expose),
            phone_hash: hashes.phone.as_deref(),
            name: contact.name.as_deref(),
            locale: contact.locale.as_ref().map(ToString::to_string),
            zone: contact.zone.map(|z| z.name().to_owned()),
            country: contact.country.as_ref().map(Country::as_str),
            sms_consent: contact.sms_consent,
            preferred: contact.preferred.as_str(),
        }
    }

    /// Takes over what this row leaves out.
    fn fill_from(&mut self, earlier: ContactRow<'a>) {
        self.email = self.email.take().or(earlier.email);
        self.email_hash = self.email_hash.or(earlier.email_hash);
        self.phone = self.phone.or(earlier.phone);
        self.phone_hash = self.phone_hash.or(earlier.phone_hash);
        self.name = self.name.or(earlier.name);
        self.locale = self.locale.take().or(earlier.locale);
        self.zone = self.zone.take().or(earlier.zone);
        self.country = self.country.or(earlier.country);
    }
}

#[derive(Serialize)]
struct OrderRow<'a> {
    key: &'a str,
    number: &'a str,
    contact_hash: &'a str,
    ordered_at: Option<i64>,
    ordered_on: String,
    zone: &'static str,
    adopted: bool,
    view_url: Option<&'a str>,
    cancel_url: Option<&'a str>,
    customer_deleted: bool,
}

impl<'a> OrderRow<'a> {
    fn of(o: &'a OrderChange, hashes: &'a ContactHashes) -> OrderRow<'a> {
        OrderRow {
            key: &o.key,
            number: &o.number,
            contact_hash: &hashes.contact,
            ordered_at: o.ordered_at.map(|at| at.0),
            ordered_on: o.ordered_on.to_string(),
            zone: o.zone.name(),
            adopted: o.adopted,
            view_url: o.view_url.as_deref(),
            cancel_url: o.cancel_url.as_deref(),
            customer_deleted: o.customer_deleted,
        }
    }
}

/// Writes orders with their customers; changed ones get new versions and are
/// due.
pub(super) async fn write(
    c: &mut Conn<'_>,
    input: &MirrorInput,
    orders: &[OrderChange],
) -> Result<(), sqlx::Error> {
    let hashed = orders
        .iter()
        .map(|o| Some((o, input.hashes.get(&o.key)?)))
        .collect::<Option<Vec<_>>>()
        // Leaving the order out instead would lose it without a word.
        .ok_or_else(|| sqlx::Error::InvalidArgument("an order has no hash".into()))?;
    let document = json(&one_per_contact(&hashed));
    run!(c, WAKE_CONTACTS, &document, input.shop_id, input.now.0)?;
    run!(c, CONTACTS, &document, input.shop_id)?;
    let rows: Vec<OrderRow<'_>> = hashed.iter().map(|(o, h)| OrderRow::of(o, h)).collect();
    run!(c, ORDERS, json(&rows), input.shop_id, input.now.0)?;
    Ok(())
}

/// One row per contact: PostgreSQL refuses to write the same row twice in one
/// statement. The last one wins; what it leaves out, an earlier one may have
/// said.
fn one_per_contact<'a>(hashed: &[(&'a OrderChange, &'a ContactHashes)]) -> Vec<ContactRow<'a>> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut contacts: Vec<ContactRow<'_>> = Vec::new();
    for (o, h) in hashed {
        let mut row = ContactRow::of(&o.contact, h);
        match places.get(h.contact.as_str()) {
            Some(place) => {
                std::mem::swap(&mut row, &mut contacts[*place]);
                contacts[*place].fill_from(row);
            }
            None => {
                places.insert(&h.contact, contacts.len());
                contacts.push(row);
            }
        }
    }
    contacts
}
