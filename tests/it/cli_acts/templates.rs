//! A template with a mistake: whoever does not render does not care, whoever
//! does is told what is used instead, and nobody is kept from working.

use super::{Home, NOW, SHOP, json};
use backorderd::template::Instead;

const PATH: &str = "words/en/delay/email.hbs";

fn words(version: &str) -> String {
    format!(
        "subject: {{{{> order_title}}}}: later\npreheader: Nothing to do.\n---\n{version} words of \
         the shop's own.\n\n{{{{> items}}}}\n"
    )
}

fn home() -> Home {
    let home = Home::with(&format!(
        "{SHOP}[templates]\ndir = \"words\"\n[demo]\nnow = \"{NOW}\"\n"
    ));
    std::fs::create_dir_all(home.path().join("words/en/delay")).unwrap();
    std::fs::write(home.path().join(PATH), words("First")).unwrap();
    home.fill();
    home.owe_a_delay();
    home
}

#[test]
fn a_broken_template_stops_no_command_and_is_named() {
    let home = home();
    std::fs::write(home.path().join(PATH), "subject: {{order.nubmer}}\n---\n").unwrap();
    for command in [
        &["stats"][..],
        &["forecast"],
        &["orders", "explain", "1042"],
        &["hold", "--why", "looking"],
        &["release"],
    ] {
        let told = home.run(command);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{command:?}");
    }
    let todo = json(&home.run(&["--json", "todo"]));
    assert_eq!(todo["templates"][0]["file"], "en/delay/email.hbs");
    assert_eq!(todo["templates"][0]["instead"], "built_in");
    let todo = home.run(&["todo"]);
    assert!(todo.out.contains("TEMPLATES WITH MISTAKES"), "{todo:?}");
    let run = home.run(&["run", "--dry-run", "--show", "1042"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.err.contains("the built-in one is used"), "{run:?}");
    assert!(run.out.contains("New ship date"), "{run:?}");
    // These two are about templates.
    assert_eq!(home.run(&["templates", "check"]).code, 1);
    assert_eq!(home.run(&["check", "--offline"]).code, 1);
}

#[test]
fn words_that_were_used_once_are_used_when_their_file_breaks() {
    let home = home();
    let broken = |home: &Home| {
        std::fs::write(home.path().join(PATH), "{{#if").unwrap();
    };
    home.app(Home::now(), async |app| {
        app.keep_templates().await.unwrap();
        std::fs::write(home.path().join(PATH), words("Second")).unwrap();
        assert_eq!(app.reload_templates().await.unwrap(), []);
        broken(&home);
        let found = app.reload_templates().await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].instead, Instead::LastGood);
    });
    // Another process, and another after that one kept what it had.
    for _ in 0..2 {
        let shown = home.run(&["run", "--dry-run", "--show", "1042"]);
        assert!(shown.out.contains("Second words of"), "{shown:?}");
        assert!(shown.err.contains("its last good version"), "{shown:?}");
        home.app(Home::now(), async |app| app.keep_templates().await.unwrap());
    }
    std::fs::write(home.path().join(PATH), words("First")).unwrap();
    let shown = home.run(&["run", "--dry-run", "--show", "1042"]);
    assert!(shown.out.contains("First words of"), "{shown:?}");
    assert_eq!(shown.err, "");
}

#[test]
fn nobody_goes_live_with_a_broken_template() {
    let home = Home::about_to_go_live();
    let config = home.path().join("backorderd.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}[templates]\ndir = \"words\"\n")).unwrap();
    std::fs::create_dir_all(home.path().join("words/en/delay")).unwrap();
    std::fs::write(home.path().join(PATH), "{{#if").unwrap();
    let told = home.run(&["live", "--yes", "Fern & Kettle"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("nothing was changed"), "{told:?}");
}
