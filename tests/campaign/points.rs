//! Every named crash point, at its first pass; in long runs, and where one is
//! asked for by name, at its fourth too.
//!
//! The points are read from the sources, so a new one is in the table as soon
//! as it is written; one that this story never reaches fails.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::home::Running;
use crate::support::patience::until;
use crate::world::Peers;
use crate::world::World;
use crate::world::asked;
use crate::world::forget_clock;

/// The process ends when it comes to the point for the first time; in a long run,
/// and where one point is asked for, also for the fourth.
const PASSES: [usize; 2] = [1, 4];
/// Kills of a run that is long.
const LONG: usize = 1_000;
/// Stories played at once: they mostly wait.
const AT_ONCE: usize = 6;
const N: usize = 14;

/// What has to happen for a point to be passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// A daemon delivers mails and texts.
    Serve,
    /// The shop's rows come in.
    Import,
    /// A mail comes back.
    Bounce,
    /// Claimed, and then somebody lays down the hold file.
    Hold,
    /// A daemon is told to stop.
    Stop,
}

fn story_of(point: &str) -> Story {
    match point {
        "rows-read" | "rows-committed" => Story::Import,
        "report-read" | "report-stored" => Story::Bounce,
        "given-back" => Story::Hold,
        "leaving" => Story::Stop,
        _ => Story::Serve,
    }
}

/// All names in `crash_point("…")` below `src`.
fn points() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("read src") {
            let path = entry.expect("read src").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(path).expect("read a source file");
                let names = text.split("crash_point(\"").skip(1);
                found.extend(names.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    found
}

#[test]
fn the_end_at_any_named_place_loses_nothing() {
    let mut points = points();
    assert!(points.len() > 20, "the points were not found in src");
    let mut passes = &PASSES[..1];
    if asked("KILLS").is_some_and(|n| n.parse().is_ok_and(|n: usize| n >= LONG)) {
        passes = &PASSES;
    }
    if let Some(point) = asked("POINT") {
        passes = &PASSES;
        points.retain(|name| *name == point);
        assert!(!points.is_empty(), "there is no point {point}");
    }
    let cases: Vec<(&String, usize)> = points
        .iter()
        .flat_map(|point| passes.iter().map(move |pass| (point, *pass)))
        // The others come to their point once.
        .filter(|(point, pass)| *pass == 1 || story_of(point) == Story::Serve)
        .collect();
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                while let Some((point, pass)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let played = std::panic::catch_unwind(|| play(point, *pass));
                    let said = match played {
                        Ok((died, said)) => {
                            if *pass == 1 && !died {
                                let why = format!("{point} is never reached");
                                wrong.lock().expect("a list").push(why);
                            }
                            said
                        }
                        Err(panic) => {
                            let why = panic.downcast_ref::<String>();
                            let why = why.map_or("", String::as_str);
                            let why = format!("{point}:{pass} {why}");
                            wrong.lock().expect("a list").push(why.clone());
                            why
                        }
                    };
                    println!("{said}");
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Plays one; whether the process died at the point, and a line about it.
fn play(point: &str, pass: usize) -> (bool, String) {
    let story = story_of(point);
    let slow = story == Story::Hold;
    let mut world = World::with_orders(
        if slow { 3 * N } else { N },
        Peers {
            seed: 5,
            mail_lies: 0,
            reply_delay: Duration::from_millis(if slow { 12 } else { 1 }),
            text_lies: Some(0),
        },
    );
    world.move_all_dates();
    let armed = ("BACKORDERD_CRASH_AT".to_owned(), format!("{point}:{pass}"));
    let died = if story == Story::Import {
        world.variables.push(armed);
        world.import()
    } else {
        world.import();
        match story {
            Story::Bounce => {
                world.live_in_peace();
                world.variables.push(armed);
                hand_back_the_first_mail(&world)
            }
            _ => {
                world.variables.push(armed);
                serve(&mut world, story, pass)
            }
        }
    };
    world.kills += usize::from(died);
    let report = world.must_be_sound(&format!("{point}, pass {pass}"));
    let how = if died {
        "died"
    } else {
        "was not passed so often"
    };
    let (copies, doubts) = (report.copies, report.doubts);
    let said = format!("{point}:{pass} {how}; {copies} copies, {doubts} in doubt");
    (died, said)
}

/// A daemon until it dies or rests; whether it was killed.
fn serve(world: &mut World, story: Story, pass: usize) -> bool {
    let mut running = world.serve();
    let hold = world.home.path().join("hold");
    if story == Story::Hold {
        until("some mails", || {
            (world.relay.n_events() >= 7 || running.has_ended()).then_some(())
        });
        fs::write(&hold, "stop").expect("write the hold file");
    } else {
        until("a daemon that is up", || {
            let up = running.words().contains("ready") || running.has_ended();
            up.then_some(())
        });
    }
    if pass == 1 && story != Story::Stop {
        // It has to come to it, however slow the machine is.
        until("the end at the point", || running.has_ended().then_some(()));
    } else {
        world.wait_until_idle(&mut running);
        if !running.has_ended() {
            running.signal("TERM");
        }
    }
    let died = ended_by_kill(&mut running);
    // The world goes on without it.
    let _ = fs::remove_file(hold);
    died
}

fn ended_by_kill(running: &mut Running) -> bool {
    let killed = running.wait().signal() == Some(9);
    forget_clock(running.id());
    killed
}

/// What a mail system says about the first mail that went out.
fn hand_back_the_first_mail(world: &World) -> bool {
    let ledger = world.relay.folder().join("ledger.ndjson");
    let ledger = fs::read_to_string(ledger).expect("a ledger");
    let first: Value = serde_json::from_str(ledger.lines().next().expect("a mail")).expect("JSON");
    let (sender, to) = (&first["from"], &first["recipients"][0]);
    let (sender, to) = (sender.as_str().expect("text"), to.as_str().expect("text"));
    let report = format!(
        "From: MAILER-DAEMON@lying.example\r\nTo: {sender}\r\nSubject: Undelivered\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; \
         boundary=\"b\"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nno such mailbox\r\n\
         --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; \
         lying.example\r\n\r\nFinal-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: \
         5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no such mailbox\r\n\r\n--b--\r\n"
    );
    let mut command = world.command(&["receive-bounce"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("start backorderd");
    let mut input = child.stdin.take().expect("its input");
    // It may die before it has read everything.
    let _ = input.write_all(report.as_bytes());
    drop(input);
    let ended = child.wait().expect("the end of a command");
    ended.signal() == Some(9)
}
