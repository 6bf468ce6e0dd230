//! At the most talkative level the log names no customer and quotes no
//! message.

use serde_json::json;

use super::texts;
use crate::home::Home;
use crate::home::but;
use crate::home::in_days;
use crate::home::teapots;
use crate::support::http_gateway::Answer;
use crate::support::http_gateway::HttpGateway;
use crate::support::patience::until;
use crate::support::postfix::Postfix;

#[test]
fn the_log_holds_no_address_no_number_and_no_words_of_a_message() {
    for (level, format) in [("debug", "text"), ("trace", "json")] {
        let postfix = Postfix::start();
        let gateway = HttpGateway::start(|request| match request.nth {
            0 => Answer::json(201, &json!({"id": "g-1"})),
            // Gateways repeat what they were asked.
            _ => Answer::json(
                400,
                &json!({"error": {"message": format!("cannot send: {}", request.body)}}),
            ),
        });
        let mut home = Home::live(postfix.port(), &texts::settings(&gateway));
        home.set("LOG__LEVEL", level);
        home.set("LOG__FORMAT", format);
        let rows = |eta| {
            [
                teapots("1042", eta),
                but(teapots("1043", eta), json!({"email": "busy@later.example"})),
                but(
                    teapots("1044", eta),
                    json!({"email": "departed@refuse.example"}),
                ),
                texts::texted(teapots("1045", eta)),
                but(
                    texts::texted(teapots("1046", eta)),
                    json!({"phone": "+447400654321", "email": null}),
                ),
            ]
        };
        home.import(&rows(in_days(20)));
        let daemon = home.serve();
        daemon.wait_for_words("ready");
        home.import(&rows(in_days(31)));
        until("five outcomes", || {
            let open = home.number("SELECT count(*) FROM attempts WHERE ended_at IS NOT NULL");
            (open >= 5).then_some(())
        });
        let hold = home.path().join("hold");
        std::fs::write(hold, "").expect("write the hold file");
        daemon.wait_for_words("the hold file is there");
        let words = daemon.words();
        assert_eq!(daemon.stop().code(), Some(0));
        assert!(words.contains("attempt ended"), "{words}");
        if format == "json" {
            for line in words.lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
                assert!(line["message"].is_string(), "{line}");
            }
        }
        for secret in [
            "customer-",
            "busy",
            "departed",
            "accept.example",
            "later.example",
            "refuse.example",
            "7400123456",
            "7400654321",
            "Okafor",
            "teapot",
            "Fern & Kettle",
            "Hello",
        ] {
            assert!(
                !words.contains(secret),
                "`{secret}` in the {level} log: {words}"
            );
        }
    }
}
