//! Faults of Maskinporten's token endpoint.

use super::{NO_TOKEN_IN_TIME, Row, Way, assert_none, outage, play, ways};
use crate::support::peers::{At, Fault, Trouble, World};
use std::time::Duration;

const OURS: &str = "503 credential-unavailable";
/// After the first failed attempt and, as the table asks several times, the second: with what is added by
/// chance, at most a quarter.
const BACK_OFF: Duration = Duration::from_millis(1250 + 2500);
/// How long one exchange may take, for attempts that hang when the fault ends.
const HANGING: Duration = Duration::from_secs(5);

pub(super) fn way_rows(trap: &str) -> Vec<Row> {
    let row = |way: Way| {
        let log = match way.outcome {
            "connect" => "cannot connect",
            "timeout" => NO_TOKEN_IN_TIME,
            "broken" => "the exchange broke",
            "failed" => "answered 50",
            "throttled" => "answered 429",
            "refused" => "answered 40",
            _ => "",
        };
        let calls = match way.name.as_str() {
            "refused" | "mute" | "closed" => 0..=0,
            _ => 1..=1,
        };
        let recovers = if way.slow { BACK_OFF + HANGING } else { BACK_OFF };
        Row::new(&way.name, way.trouble, OURS)
            .log(log)
            .outcome(way.outcome)
            .calls(calls)
            .recovers(recovers)
    };
    ways(trap).into_iter().map(row).collect()
}

fn says(name: &str, body: &str) -> Row {
    Row::new(name, Trouble::Answers(Fault::Says(body.to_owned())), OURS)
        .log("holds no token")
        .outcome("unusable")
        .recovers(BACK_OFF)
}

fn refuses(name: &str, body: &str, log: &'static str) -> Row {
    Row::new(name, Trouble::Answers(Fault::Refuses(400, body.to_owned())), OURS)
        .log(log)
        .outcome("refused")
        .recovers(BACK_OFF)
}

fn rows(trap: &str) -> Vec<Row> {
    let mut rows = way_rows(trap);
    rows.extend([
        Row::new("truncated", Trouble::Answers(Fault::Truncated), OURS)
            .log("holds no token")
            .outcome("unusable")
            .recovers(BACK_OFF),
        says("no token", r#"{"token_type":"Bearer","expires_in":119}"#),
        says("a token that is null", r#"{"access_token":null}"#),
        says("a token of lines", r#"{"access_token":"a\r\nx: y"}"#),
        says("two tokens", r#"{"access_token":"a","access_token":"b"}"#),
        says("a token of another kind", r#"{"access_token":"a","token_type":"DPoP"}"#),
        refuses("an unknown client", r#"{"error":"invalid_client"}"#, "invalid_client"),
        refuses(
            "not configured",
            r#"{"error":"invalid_altinn_customer_configuration","error_description":"x (MP-303) y"}"#,
            "(MP-303)",
        ),
    ]);
    for skew in [180, -180] {
        let name = format!("a clock that differs by {skew} s");
        rows.push(
            Row::new(&name, Trouble::Clock(skew), OURS)
                .log("its clock and ours differ by")
                .outcome("refused")
                .recovers(BACK_OFF),
        );
    }
    rows
}

#[tokio::test]
async fn every_fault_of_maskinporten_is_an_outage_and_passes() {
    let trap = World::start();
    let rows = rows(&trap.trap.url());
    let found = play(rows, |row| outage(At::Token, row, World::start())).await;
    assert_eq!(trap.trap.accepted(), 0, "a redirect was followed");
    assert_none(&found);
}
