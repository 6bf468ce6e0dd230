//! Exports that stop, break off or hold bad rows: what an import says and how it
//! ends, and what whoever looks later still finds.

use super::{Home, NOW, SHOP, json};
use backorderd::domain::time::{Instant, Length};
use std::time::{Duration, SystemTime};

const HEADER: &str = "line_id,order_number,status,customer_name,email,product_name,eta_from";

fn home() -> Home {
    let import = "[import]\nexpect_every = \"26h\"\nfiles = { \"amazon.csv\" = \"3h\" }\n";
    Home::with(&format!("{SHOP}{import}[demo]\nnow = \"{NOW}\"\n"))
}

fn rows(n: usize) -> String {
    let mut text = format!("{HEADER}\n");
    for n in 1..=n {
        text.push_str(&format!(
            "l{n},{},waiting,Kim Lee,kim{n}@mail.example,Enamel teapot,2026-03-20\n",
            2_000 + n
        ));
    }
    text
}

/// Writes a file as an export would have, so long ago.
fn put(home: &Home, name: &str, text: &str, ago: Length) -> String {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    let at: Instant = Home::now().minus(ago);
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap());
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(at).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_export_that_stopped_is_said_wherever_one_looks() {
    let home = home();
    // Yesterday's file, imported again today: it is no newer for that.
    let dated = "orders-2026-02-24.csv";
    let file = put(&home, dated, &rows(3), Length::hours(30));
    let told = home.run(&["import", &file]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("30 hours ago"), "{told:?}");
    let silent =
        "no new file since Wed 25 Feb 04:02 (orders-*.csv); one is expected every 26 hours";
    let never = "no file ever came (amazon.csv); one is expected every 3 hours";
    for command in [&["todo"][..], &["stats"], &["check", "--offline"]] {
        let told = home.run(command);
        let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(silent), "{command:?}: {words}");
        assert!(words.contains(never), "{command:?}: {words}");
    }
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(todo["exports"][1]["trouble"], "silent");
    assert_eq!(todo["exports"][1]["source"], "orders-*.csv");
    assert_eq!(todo["exports"][1]["since"], "2026-02-25T04:02:00Z");

    // The next ones come, under another date.
    let file = put(&home, "orders-2026-02-26.csv", &rows(3), Length::hours(1));
    let told = home.run(&["import", &file]);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    let other = put(&home, "amazon.csv", &rows(3), Length::ZERO);
    assert_eq!(home.run(&["import", &other]).code, 0);
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(todo["exports"], serde_json::json!([]));
}

#[test]
fn half_a_file_is_not_taken_in_until_a_person_says_that_it_is_right() {
    let home = home();
    let file = put(&home, "orders.csv", &rows(30), Length::ZERO);
    assert_eq!(home.run(&["import", &file]).code, 0);

    let file = put(&home, "orders.csv", &rows(12), Length::ZERO);
    let dry = home.run(&["import", &file, "--dry-run"]);
    assert_eq!(dry.code, 1, "{dry:?}");
    assert!(!home.run(&["todo"]).out.contains("not taken in"));
    let told = home.run(&["import", &file]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(
        told.err.contains("it has 12 rows, the one before had 30"),
        "{told:?}"
    );
    let refused = "was not taken in: it has 12 rows, the one before had 30";
    for command in [&["todo"][..], &["stats"], &["check", "--offline"]] {
        let told = home.run(command);
        let words = told.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(refused), "{command:?}: {words}");
    }
    assert_eq!(home.run(&["import", &file, "--partial"]).code, 0);
    assert!(!home.run(&["todo"]).out.contains("not taken in"));
    assert_eq!(home.run(&["import", &file]).code, 1);
    assert_eq!(home.run(&["import", &file, "--fewer"]).code, 0);
    // From now on twelve is what a whole file has.
    assert_eq!(home.run(&["import", &file]).code, 0);
    assert!(!home.run(&["todo"]).out.contains("not taken in"));
}

#[test]
fn a_file_that_breaks_off_in_its_last_line_is_named_so() {
    let home = home();
    let file = put(&home, "orders.csv", &rows(12), Length::ZERO);
    assert_eq!(home.run(&["import", &file]).code, 0);
    let whole = rows(12);
    for (sentence, cut, says) in [
        ("within a field", 30, "breaks off within this line"),
        // All fields are there, and the last one is a day: of the wrong month.
        ("in the last field", 1, "the last line may be cut off"),
    ] {
        let text = &whole[..whole.len() - cut];
        let file = put(&home, "orders.csv", text, Length::ZERO);
        let told = home.run(&["import", &file]);
        assert_eq!(told.code, 1, "{sentence}: {told:?}");
        assert!(told.err.contains(says), "{sentence}: {told:?}");
    }
}

#[test]
fn rows_that_stay_out_are_remembered_until_they_are_repaired() {
    let home = home();
    let good = rows(3);
    let bad = good.replace("kim2@mail.example", "kim2(at)mail.example");
    let first = put(&home, "orders.csv", &bad, Length::ZERO);
    let told = home.run(&["import", &first, "--skip-bad"]);
    assert_eq!(told.code, 1, "rows that stay out are no success: {told:?}");
    let wanted = serde_json::json!([{
        "source": "orders.csv", "line": 3, "order_number": "2002", "field": "email",
        "reason": "not an e-mail address: there is no @ in it", "at": "2026-02-26T10:02:00Z",
    }]);
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(todo["rejected_rows"], wanted);
    assert_eq!(todo["exports"][1]["trouble"], "left_out");
    let stats = home.run(&["stats"]);
    assert!(stats.out.contains("1 row was left out"), "{stats:?}");
    let nobody = home.run(&["orders", "explain", "2002"]);
    assert!(
        nobody.out.contains("orders.csv), line 3 (email): not an"),
        "{nobody:?}"
    );

    // The order is known by now, and a later file has a bad row of it.
    let file = put(&home, "orders.csv", &good, Length::ZERO);
    assert_eq!(home.run(&["import", &file]).code, 0);
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(todo["rejected_rows"], serde_json::json!([]));
    let file = put(&home, "orders.csv", &bad, Length::ZERO);
    assert_eq!(home.run(&["import", &file]).code, 1);
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(
        todo["rejected_rows"], wanted,
        "a refused file names them, too"
    );
    let explained = home.run(&["orders", "explain", "2002"]);
    assert!(
        explained.out.contains("was not taken in (line 3 (email)"),
        "{explained:?}"
    );
}

#[test]
fn orders_nobody_looked_at_are_something_to_do() {
    let home = home();
    let file = put(&home, "orders.csv", &rows(3), Length::ZERO);
    assert_eq!(home.run(&["import", &file]).code, 0);
    let todo = home.run(&["todo"]);
    assert!(todo.out.contains("3 open orders: what is the"), "{todo:?}");
    assert_eq!(home.run(&["run", "--yes"]).code, 0);
    assert_eq!(json(&home.run(&["--json", "todo"]))["unseen_orders"], 0);
}
