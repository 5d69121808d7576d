//! `portvakt doctor` among systems that fail: which step is named, and what to do.

use crate::support::RULES;
use crate::support::peers::{At, Fault, Pace, Trouble, World};
use portvakt::domain::{Decision, Indeterminate, Obligations};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

struct Folder(PathBuf);

impl Folder {
    fn new(world: &World) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4())));
        fs::create_dir_all(folder.0.join("policies/routes")).unwrap();
        fs::write(folder.0.join("policies/routes/it.yaml"), RULES).unwrap();
        let base = "environment: custom
upstream: { url: 'http://127.0.0.1:9' }
policies: policies
";
        fs::write(folder.0.join("base.yaml"), base).unwrap();
        let pace = Pace { timeout: "1s", ..Pace::default() };
        fs::write(folder.0.join("world.yaml"), world.settings(&pace)).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The exit code, and each step with its outcome and help.
async fn examined(world: &World) -> (i32, Vec<Value>) {
    let folder = Folder::new(world);
    let root = folder.0.clone();
    let run = move || {
        Command::new(env!("CARGO_BIN_EXE_portvakt"))
            .args(["doctor", "--format", "json", "--config", "base.yaml", "--config", "world.yaml"])
            .current_dir(root)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let steps = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    drop(folder);
    (output.status.code().unwrap(), steps)
}

fn outcomes(steps: &[Value]) -> Vec<&str> {
    steps.iter().map(|step| step["outcome"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_every_step_works() {
    let world = World::start();
    world.pdp.decide(|_| Decision::NotApplicable);
    let (code, steps) = examined(&world).await;
    assert_eq!((code, outcomes(&steps)), (0, vec!["ok"; 4]), "{steps:?}");
    let decided = world.pdp.take_decided();
    assert_eq!(decided.len(), 1, "one question");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_step_that_fails_is_named_with_what_to_do() {
    const LATER: &str = "not-reached";
    let refused =
        |error: &str| Trouble::Answers(Fault::Refuses(400, format!("{{\"error\":\"{error}\"}}")));
    let cases = [
        (At::Metadata, Trouble::Refused, vec!["fails", "ok", "ok", "ok"], 0, "egress"),
        (
            At::Jwks,
            Trouble::Answers(Fault::Html),
            vec!["fails", "ok", "ok", "ok"],
            0,
            "way to the issuer",
        ),
        (At::Token, Trouble::Refused, vec!["ok", "fails", LATER], 1, "egress"),
        (At::Token, refused("invalid_grant"), vec!["ok", "fails", LATER], 1, "`client_id`"),
        (
            At::Exchange,
            Trouble::Answers(Fault::Status(401)),
            vec!["ok", "ok", "fails", LATER],
            2,
            "same environment",
        ),
        (
            At::Authorize,
            Trouble::Answers(Fault::Status(403)),
            vec!["ok", "ok", "ok", "fails"],
            3,
            "subscription key",
        ),
        (
            At::Authorize,
            Trouble::Answers(Fault::Status(503)),
            vec!["ok", "ok", "ok", "fails"],
            3,
            "status page",
        ),
        (
            At::Authorize,
            Trouble::Answers(Fault::Html),
            vec!["ok", "ok", "ok", "fails"],
            3,
            "in its place",
        ),
        (At::Authorize, Trouble::Mute, vec!["ok", "ok", "ok", "fails"], 3, "egress"),
    ];
    for (at, trouble, expected, failing, help) in cases {
        let mut world = World::start();
        world.pdp.decide(|_| Decision::NotApplicable);
        world.trouble(at, trouble).await;
        let (code, steps) = examined(&world).await;
        assert_eq!((code, outcomes(&steps)), (1, expected), "{at:?}: {steps:?}");
        let said = steps[failing]["help"].as_str().unwrap_or_default();
        assert!(said.contains(help), "{at:?}: {said:?} in {steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pdp_that_permits_anybody_or_cannot_decide_is_not_well() {
    let permits = Decision::Permit(Obligations::default());
    let undecided = Decision::Indeterminate(Indeterminate::Unstated);
    for (decision, help) in [(permits, "do not serve"), (undecided, "`r-read`")] {
        let world = World::start();
        world.pdp.decide(move |_| decision.clone());
        let (code, steps) = examined(&world).await;
        assert_eq!((code, outcomes(&steps)), (1, vec!["ok", "ok", "ok", "fails"]), "{steps:?}");
        assert!(steps[3]["help"].as_str().unwrap().contains(help), "{steps:?}");
    }
}
