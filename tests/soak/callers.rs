//! Many callers on connections of their own, each asking at its pace for what the seed says.

use crate::gate::Gate;
use crate::now;
use crate::oracle::{Answered, Asked, Oracle};
use crate::random::Random;
use crate::tokens::{Badge, Tokens};
use crate::truth::{ALIKE, BRIEF, LASTING, NEVER, OPEN, PARTIES, PUBLIC, Rule, SEVERAL, USERS};
use portvakt::tasks::Tasks;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CALLERS: usize = 160;
/// Together 800 a second; less while many wait.
const PACE: Duration = Duration::from_millis(200);
/// Longer than anything is allowed to take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Callers {
    stop: CancellationToken,
}

struct Caller {
    address: SocketAddr,
    stream: TcpStream,
    oracle: Arc<Oracle>,
    tokens: Arc<Tokens>,
    random: Random,
}

impl Callers {
    pub(crate) fn start(
        gate: &Gate,
        oracle: &Arc<Oracle>,
        tokens: &Arc<Tokens>,
        random: &mut Random,
        tasks: &Tasks,
    ) -> Self {
        let stop = CancellationToken::new();
        for _ in 0..CALLERS {
            let (address, oracle, tokens) = (gate.traffic, Arc::clone(oracle), Arc::clone(tokens));
            let (mut random, stop) = (random.fork(), stop.clone());
            let _calling = tasks.spawn(async move {
                let begin = now() + random.between(Duration::ZERO, PACE);
                let stream = TcpStream::connect(address).await.unwrap();
                let mut caller = Caller { address, stream, oracle, tokens, random };
                let mut ticks = tokio::time::interval_at(begin.into(), PACE);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
                while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                    caller.ask().await;
                }
            });
        }
        Self { stop }
    }

    /// Lets everybody have the answer they wait for.
    pub(crate) async fn end(self, tasks: &Tasks) {
        self.stop.cancel();
        assert!(tasks.stop(PATIENCE * 2).await, "a caller does not end");
    }
}

impl Caller {
    async fn ask(&mut self) {
        let rule = self.rule();
        let badge = self.badge(rule);
        let user = self.random.below(USERS);
        let parties = self.parties(rule);
        let book = self.tokens.book();
        let token = book.token(user, badge);
        let asked = Asked {
            id: Uuid::new_v4(),
            rule,
            user,
            parties,
            badge,
            kid: Arc::clone(&book.kid),
            sent: now(),
        };
        let request = request(&asked, token.as_deref());
        self.oracle.asked(asked.clone());
        match tokio::time::timeout(PATIENCE, self.exchange(&request)).await {
            Ok(Some(answered)) => self.oracle.answered(asked.id, answered),
            Ok(None) => self.oracle.violation("no-answer", &format!("cut off: {asked:?}")),
            Err(_) => self.oracle.violation("no-answer", &format!("in {PATIENCE:?}: {asked:?}")),
        }
    }

    fn rule(&mut self) -> Rule {
        match self.random.below(100) {
            0..30 => BRIEF,
            30..45 => ALIKE,
            45..65 => LASTING,
            65..80 => SEVERAL,
            80..85 => NEVER,
            85..95 => OPEN,
            _ => PUBLIC,
        }
    }

    fn badge(&mut self, rule: Rule) -> Badge {
        if rule == PUBLIC {
            return Badge::Missing;
        }
        match self.random.below(100) {
            0..2 => Badge::Missing,
            2..4 => Badge::Expired,
            4..6 => Badge::Foreign,
            6..8 => Badge::Forged,
            8..10 => Badge::Altered,
            10..12 => Badge::Scopeless,
            _ => Badge::Good,
        }
    }

    fn parties(&mut self, rule: Rule) -> Vec<usize> {
        if rule.resource.is_none() {
            return Vec::new();
        }
        let count = if rule == SEVERAL { 1 + self.random.below(4) } else { 1 };
        let first = self.random.below(PARTIES.len());
        // Different ones: equal ones are asked about once.
        let step = [1, 3][self.random.below(2)];
        (0..count).map(|at| (first + at * step) % PARTIES.len()).collect()
    }

    /// `None` if the connection ended.
    async fn exchange(&mut self, request: &[u8]) -> Option<Answered> {
        self.stream.write_all(request).await.ok()?;
        let mut answer = Vec::new();
        loop {
            if self.stream.read_buf(&mut answer).await.ok()? == 0 {
                return None;
            }
            let text = std::str::from_utf8(&answer).unwrap();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let field = |wanted: &str| {
                head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case(wanted).then(|| value.trim())
                })
            };
            if field("content-length")?.parse::<usize>().ok()? > body.len() {
                continue;
            }
            let status = head.split(' ').nth(1)?.parse().ok()?;
            let problem: Value = serde_json::from_str(body).unwrap_or_default();
            let code = problem["code"].as_str().unwrap_or_default().to_owned();
            let retry_after = field("retry-after").is_some();
            if field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                self.stream = TcpStream::connect(self.address).await.unwrap();
            }
            return Some(Answered { status, code, retry_after, received: now() });
        }
    }
}

fn request(asked: &Asked, token: Option<&str>) -> Vec<u8> {
    let party = |at: usize| PARTIES[asked.parties[at]];
    let mut body = String::new();
    let line = match asked.rule {
        LASTING => {
            body = format!("{{\"orgnr\":\"{}\"}}", party(0));
            "POST /lasting".to_owned()
        }
        SEVERAL => {
            let parties: Vec<String> =
                (0..asked.parties.len()).map(|at| format!("party={}", party(at))).collect();
            format!("GET /several?{}", parties.join("&"))
        }
        OPEN => "GET /open".to_owned(),
        PUBLIC => "GET /public/page".to_owned(),
        rule => format!("GET /{}/{}", rule.id, party(0)),
    };
    let token = token.map_or_else(String::new, |it| format!("Authorization: Bearer {it}\r\n"));
    let framing = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len())
    };
    let id = asked.id;
    format!("{line} HTTP/1.1\r\nHost: api.example.no\r\nX-Request-Id: {id}\r\n{token}{framing}\r\n{body}")
        .into_bytes()
}
