//! Answers that must agree with each other: what one command says, another must
//! not deny.

use super::{Home, NOW, SHOP, json};
use assert_cmd::Command;

fn put(home: &Home, name: &str, text: &str) -> String {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn who_texted_stop_is_not_called_textable() {
    let home = Home::with(&format!("{SHOP}[demo]\nnow = \"{NOW}\"\n"));
    let file = put(
        &home,
        "orders.csv",
        "line_id,order_number,status,customer_name,email,phone,sms_consent,product_name,eta_from\n\
         a,1042,waiting,Kim Lee,kim@mail.example,+447400123456,yes,Teapot,2026-03-20\n\
         b,1043,waiting,Ann Lee,,+447400123457,yes,Teapot,2026-03-20\n",
    );
    assert_eq!(home.run(&["import", &file]).code, 0);
    let before = home.run(&["orders", "explain", "1042"]);
    assert!(before.out.contains("texts allowed to"), "{before:?}");
    for number in ["+447400123456", "+447400123457"] {
        let told = home.run(&["suppressions", "add", number, "--why", "STOP"]);
        assert_eq!(told.code, 0, "{told:?}");
    }
    let mails = home.run(&["orders", "explain", "1042"]);
    assert!(!mails.out.contains("texts allowed"), "{mails:?}");
    assert!(mails.out.contains("no texts any more"), "{mails:?}");
    assert!(mails.out.contains("no texts, mails go on"), "{mails:?}");
    let nothing = home.run(&["orders", "explain", "1043"]);
    assert!(
        nothing.out.contains("no address we may write to"),
        "{nothing:?}"
    );
}

#[test]
fn a_date_that_was_cleared_is_the_shops_own_again() {
    let home = Home::in_sandbox();
    for command in [
        &["eta", "set", "--order", "1042", "2026-04-01"][..],
        &["eta", "clear", "--order", "1042"],
    ] {
        let told = home.run(command);
        assert_eq!(told.code, 0, "{told:?}");
    }
    let dates = json(&home.run(&["--json", "orders", "explain", "1042"]))["dates"].clone();
    let sources: Vec<&str> = dates
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["source"].as_str().unwrap())
        .collect();
    assert_eq!(sources, ["orders.csv", "operator", "source"]);
    let explained = home.run(&["orders", "explain", "1042"]);
    let line = "Fri 6 Mar  the shop's own again";
    assert!(explained.out.contains(line), "{explained:?}");
}

#[test]
fn import_and_forecast_count_the_same_messages() {
    let home = Home::with(&format!("{SHOP}[demo]\nnow = \"{NOW}\"\n"));
    // Day 14 of both comes 14 days ahead, at ten: a few minutes too early or late.
    let file = put(
        &home,
        "orders.csv",
        "line_id,order_number,status,email,product_name,ordered_at,eta_from\n\
         a,1042,waiting,kim@mail.example,Teapot,2026-02-26,2026-04-20\n\
         b,1043,waiting,ann@mail.example,Teapot,2026-02-26,2026-04-20\n",
    );
    let imported = home.run(&["import", &file]);
    let forecast = home.run(&["forecast"]);
    let said = "4 messages";
    assert!(
        imported.out.contains(&format!("changes: {said}")),
        "{imported:?}"
    );
    assert!(
        forecast.out.contains(&format!("{said} in the next 14")),
        "{forecast:?}"
    );
}

#[test]
fn check_looks_at_what_comes_in() {
    let config = format!(
        "{SHOP}[email.bounces]\nmaildir = \"bounces\"\n[web]\nlisten = \"127.0.0.1:9\"\n\
         [sms]\ngateway = \"folder\"\n[demo]\nnow = \"{NOW}\"\n"
    );
    let home = Home::with(&config);
    home.fill();
    let found = |home: &Home, item: &str| {
        let all = json(&home.run(&["--json", "check"]));
        let mut items = all["items"].as_array().unwrap().clone();
        items.retain(|found| found["item"] == item);
        (
            items[0]["status"].as_str().unwrap().to_owned(),
            items[0]["says"].as_str().unwrap().to_owned(),
        )
    };
    let (status, says) = found(&home, "bounces");
    assert_eq!(status, "fail");
    assert!(says.contains("there is no folder new in it"), "{says}");
    for folder in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(home.path().join("bounces").join(folder)).unwrap();
    }
    assert_eq!(found(&home, "bounces").0, "ok");
    let (status, says) = found(&home, "web");
    assert_eq!(status, "warn");
    assert!(says.contains("127.0.0.1:9: nobody answers"), "{says}");
}

#[test]
fn check_asks_for_the_language_of_a_german_shop() {
    let german = SHOP
        .replace("locale = \"en-GB\"\n", "")
        .replace("\"GB\"", "\"DE\"");
    let home = Home::with(&german);
    let told = home.run(&["check", "--offline"]);
    assert!(
        told.out.contains("write locale = \"de\" or \"en\""),
        "{told:?}"
    );
    for said in ["locale = \"de\"\n", "locale = \"en\"\n"] {
        put(&home, "backorderd.toml", &format!("{german}{said}"));
        let told = home.run(&["check", "--offline"]);
        assert!(!told.out.contains("language"), "{told:?}");
    }
}

#[test]
fn the_brake_works_with_a_broken_configuration() {
    for (sentence, broken) in [
        (
            "no TOML",
            "mode = \"live\n[state]\ndir = \"elsewhere\"\n".to_owned(),
        ),
        (
            "a value nobody understands",
            format!("mode = \"lively\"\n{SHOP}"),
        ),
        ("an unknown section", format!("{SHOP}[teapots]\nn = 3\n")),
    ] {
        let home = Home::with(&broken);
        for command in [
            &["hold", "--file", "--why", "stop it"][..],
            &["hold", "--why", "stop it"],
        ] {
            let told = home.run(command);
            assert_eq!(told.code, 0, "{sentence}: {told:?}");
            let file = std::fs::read_to_string(home.path().join("hold")).unwrap();
            assert!(file.starts_with("stop it\nby anna, "), "{file}");
            let told = home.run(&["release", "--file"]);
            assert_eq!(told.code, 0, "{sentence}: {told:?}");
            assert!(!home.path().join("hold").exists());
        }
        // A hold that a file cannot be stays a matter of the configuration.
        let told = home.run(&["hold", "--sku", "TP-1", "--why", "recall"]);
        assert_eq!(told.code, 78, "{sentence}: {told:?}");
        assert!(!home.path().join("hold").exists());
    }
}

#[test]
fn the_state_folder_is_found_in_what_is_left_of_a_configuration() {
    let home = Home::with("[state]\ndir = \"elsewhere\"\n[shop\nname = 3\n");
    let elsewhere = home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let told = Command::new(env!("CARGO_BIN_EXE_backorderd"))
        .env_clear()
        .arg("--config")
        .arg(home.path().join("backorderd.toml"))
        .args(["hold", "--file", "--why", "stop it"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
    assert!(elsewhere.join("hold").exists());
}

#[test]
fn a_text_that_would_not_be_sent_does_not_pass_the_check() {
    let home = Home::with(&format!(
        "{SHOP}[sms]\ngateway = \"folder\"\nmax_segments = 1\n[templates]\ndir = \"words\"\n"
    ));
    std::fs::create_dir_all(home.path().join("words/en/delay")).unwrap();
    let words = format!("Order {{{{order.number}}}} {}", "ships later ".repeat(20));
    put(&home, "words/en/delay/sms.hbs", &words);
    let told = home.run(&["templates", "check"]);
    assert_eq!(told.code, 1, "{told:?}");
    let what = "the text needs 2 segments, and one of more than 1 is not sent";
    assert!(told.out.contains(what), "{told:?}");
    assert!(told.out.contains("these texts are not sent"), "{told:?}");
    let told = home.run(&["check", "--offline"]);
    assert!(told.out.contains("the text needs 2 segments"), "{told:?}");
    assert_eq!(told.code, 1);
}

#[test]
fn no_error_says_the_same_twice() {
    let home = Home::in_sandbox();
    home.damage_database();
    for command in [&["todo"][..], &["check", "--offline"]] {
        let told = home.run(command);
        let words = format!("{}{}", told.out, told.err);
        assert_eq!(told.code, 1, "{told:?}");
        let times = words.matches("file is not a database").count();
        assert_eq!(times, 1, "{words}");
    }
}
