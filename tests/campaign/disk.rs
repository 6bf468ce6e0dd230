//! The disk is full, or reads and writes fail.
//!
//! A small file system in memory is mounted over the shop's folder (this needs
//! root, if only of a user namespace: `scripts/campaign` sees to that), and
//! system calls are made to fail by strace. Whatever the daemon does then, it
//! must not say it sent what it did not, nor forget what it sent.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::home::Running;
use crate::home::in_days;
use crate::support::patience::moment;
use crate::support::patience::until;
use crate::support::servers;
use crate::world::Peers;
use crate::world::World;

const N: usize = 20;

fn world() -> World {
    let mut world = World::with_orders(
        N,
        Peers {
            seed: 3,
            mail_lies: 150,
            reply_delay: Duration::from_millis(5),
            text_lies: None,
        },
    );
    world.move_all_dates();
    world.import();
    world
}

// ---- a full disk ----

/// A file system in memory over a folder, with what was in it; gone with the
/// value.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn over(folder: &Path, megabytes: usize) -> SmallDisk {
        let aside = tempfile::tempdir().expect("a temporary folder");
        let must = |command: &mut Command| {
            let done = command.output().expect("start a command");
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            assert!(
                done.status.success(),
                "{command:?}: {said} (a mount needs root, or `unshare -rm` as scripts/campaign \
                 does; neither is possible here)"
            );
        };
        must(
            Command::new("cp")
                .arg("-a")
                .arg(folder.join("."))
                .arg(aside.path()),
        );
        let size = format!("size={megabytes}m");
        must(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(folder),
        );
        let disk = SmallDisk {
            at: folder.to_owned(),
        };
        must(
            Command::new("cp")
                .arg("-a")
                .arg(aside.path().join("."))
                .arg(folder),
        );
        disk
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }

    /// Fills it up but for so many bytes.
    fn fill(&self, left: u64) {
        let mut file = fs::File::create(self.ballast()).expect("begin the ballast");
        while file.write_all(&[0; 4096]).is_ok() {}
        let written = file.metadata().expect("the ballast").len();
        file.set_len(written.saturating_sub(left))
            .expect("leave room");
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.ballast());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[test]
fn a_disk_that_fills_up_in_the_middle_of_sending() {
    for left in [0, 8_192, 40_960, 131_072] {
        let mut world = world();
        let disk = SmallDisk::over(world.home.path(), 24);
        let mut running = world.serve();
        wait_for_mails(&world, &mut running, 4);
        disk.fill(left);
        world.wait_until_idle(&mut running);
        let how = if running.has_ended() {
            "ended"
        } else {
            "stayed"
        };
        world.kill(running);

        // Nothing is taken in half, and nothing is sent by who starts now.
        let before = world.relay.n_events();
        if left == 0 {
            for nth in 0..N {
                let eta = in_days(45);
                world.change(nth, serde_json::json!({ "eta_from": eta }));
            }
            let mut again = world.serve();
            moment(Duration::from_millis(1_500));
            assert!(
                !again.has_ended(),
                "it waits for the disk: {}",
                again.words()
            );
            world.kill(again);
            assert_eq!(world.relay.n_events(), before, "sent from a full disk");
        }
        disk.empty();
        let report = world.must_be_sound(&format!("a full disk, {left} bytes left"));
        println!("{left} bytes left: it {how}; {} copies", report.copies);
        drop(disk);
    }
}

fn wait_for_mails(world: &World, running: &mut Running, n: usize) {
    until("some mails", || {
        (world.relay.n_events() >= n || running.has_ended()).then_some(())
    });
}

// ---- calls that fail ----

/// A daemon whose system calls fail as this says (see strace(1), `inject`).
fn serve_with(world: &World, inject: &str) -> Running {
    let plain = world.command(&["serve"]);
    let mut command = Command::new(servers::program("strace"));
    let calls = inject.split(':').next().expect("calls");
    command
        .args(["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={calls}"), "-e"])
        .arg(format!("inject={inject}"))
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_clear();
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    world.home.start_as(command)
}

/// Kills who is traced; the tracer ends with it.
fn kill_traced(world: &mut World, mut running: Running) {
    let id = running.id();
    let children = format!("/proc/{id}/task/{id}/children");
    if let Ok(children) = fs::read_to_string(children) {
        for child in children.split_whitespace() {
            let _ = Command::new("kill").args(["-9", child]).status();
        }
    }
    running.wait();
    world.kills += 1;
}

fn survives(inject: &str) {
    let mut world = world();
    let mut running = serve_with(&world, inject);
    until("a daemon that is up, or not", || {
        let words = running.words();
        let said = ["ready", "nothing is sent"]
            .iter()
            .any(|w| words.contains(w));
        (said || running.has_ended()).then_some(())
    });
    world.wait_until_idle(&mut running);
    let how = if running.has_ended() {
        "ended"
    } else {
        "stayed"
    };
    let words = running.words();
    assert!(!words.contains("strace:"), "{words}");
    kill_traced(&mut world, running);
    let report = world.must_be_sound(inject);
    println!("{inject}: it {how}; {} copies", report.copies);
}

#[test]
fn a_sync_that_fails() {
    for nth in [1, 2, 3, 5, 8, 13, 21] {
        survives(&format!("fdatasync,fsync:error=EIO:when={nth}"));
    }
}

#[test]
fn a_write_that_fails() {
    for nth in [1, 4, 9, 17, 33, 65] {
        survives(&format!("pwrite64:error=EIO:when={nth}"));
    }
}

#[test]
fn a_write_that_finds_no_room_and_no_later_one_either() {
    for nth in [1, 6, 15, 40, 80] {
        survives(&format!("pwrite64:error=ENOSPC:when={nth}+"));
    }
}
