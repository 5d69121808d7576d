//! How cost and memory grow with what an operator has more of than others: rules, connections, held
//! decisions, remembered tokens, bytes of a body; and what the protocols of clients cost.
//!
//! Each kind of row has a proxy of its own, which grows from row to row.

use crate::cores::Cores;
use crate::crew::{Asked, Crew};
use crate::harness::{Report, now, quantile};
use crate::line::{Asks, HEAD_BYTES, Line, Multiplexed};
use crate::memory::organizations;
use crate::stand::{NAME, Settings, Stand, Tls, middle, permitted};
use crate::usage::mebibytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Who ask at the same time, where nothing else is said.
const CALLERS: usize = 16;
const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_millis(400);
/// Those that all rows have.
const RULES: usize = 3;
/// Bodies of this size and more go one at a time.
const LARGE_BODY: u64 = 1_000_000_000;
const BODY_CALLERS: usize = 4;
/// What a caller of large bodies reads at a time.
const READ_BYTES: usize = 256 * 1024;
/// Whose decisions are held, where there is more than one.
const USERS: u32 = 50;
/// Longer than any row of decisions takes: none is to be renewed meanwhile.
const LASTING: Duration = Duration::from_hours(1);
/// Memory has settled when it has given back nothing for so long: longer than Portvakt keeps anything of a
/// connection that has ended.
const QUIET: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn run(report: &Report) {
    if !report.heading("How cost and memory grow", "scale") {
        return;
    }
    let cores = Cores::share();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let large = report.number("large") == Some(1);
    println!("  {cores}; of the processor: its time for a request, in the proxy");
    println!("  {:<40} {:>13} {:>12} {:>14}", "", "processor µs", "requests/s", "resident");
    runtime.block_on(async {
        if report.wants("scale: rules") {
            rules(&cores).await;
        }
        if report.wants("scale: connections") {
            connections(&cores).await;
        }
        if report.wants("scale: decisions") {
            decisions(&cores, large).await;
        }
        if report.wants("scale: tokens") {
            tokens(&cores, large).await;
        }
        if report.wants("scale: bodies") {
            bodies(&cores, large).await;
        }
        if report.wants("scale: protocols") {
            protocols(&cores).await;
        }
    });
}

async fn rules(cores: &Cores) {
    for count in [10, 100, 1_000, 10_000] {
        let more_rules = count - RULES;
        let stand = Stand::open(cores, Settings { more_rules, ..Settings::default() }).await;
        let mut crew = crew(&stand, CALLERS, CALLERS, HEAD_BYTES).await;
        let asked = Asked { path: middle(more_rules), ..small(&stand) };
        row(&stand, &format!("rules: {}", spaced(count)), &mut crew, asked).await;
        drop(crew);
        stand.end().await;
    }
}

async fn connections(cores: &Cores) {
    let stand = Stand::open(cores, Settings::default()).await;
    for count in [1, 64, 1_024, 9_900] {
        // They are held no longer than their row: the next one opens its own.
        let mut crew = crew(&stand, count, CALLERS, HEAD_BYTES).await;
        row(&stand, &format!("connections: {}", spaced(count)), &mut crew, small(&stand)).await;
    }
    idle_again(&stand).await;
    stand.end().await;
}

async fn decisions(cores: &Cores, large: bool) {
    let counts = [1, 1_000, 100_000, 1_000_000].into_iter().take(if large { 4 } else { 3 });
    let most = counts.clone().max().unwrap();
    // All of a system user's decisions are in one of sixteen shards, none of which is to run full.
    let max_decisions = most * 4;
    let settings = Settings { max_decisions, permit_lifetime: LASTING, ..Settings::default() };
    let stand = Stand::open(cores, settings).await;
    let users: Vec<String> = (0..USERS).map(|user| stand.token(user)).collect();
    let parties = organizations(most / users.len());
    let mut crew = crew(&stand, CALLERS, CALLERS, HEAD_BYTES).await;
    for count in counts {
        let tokens = users.get(..count.min(users.len())).unwrap().to_vec();
        let parties = parties.get(..count / tokens.len()).unwrap().to_vec();
        let asked = Asked { parties, tokens, ..small(&stand) };
        let name = format!("decisions held: {}", spaced(count));
        row(&stand, &name, &mut crew, asked).await;
        assert!(stand.asked() as usize >= count, "one was held that nobody had asked for");
    }
    drop(crew);
    idle_again(&stand).await;
    stand.end().await;
}

async fn tokens(cores: &Cores, large: bool) {
    let counts = [1, 1_000, 20_000, 100_000].into_iter().take(if large { 4 } else { 3 });
    let most = counts.clone().max().unwrap();
    let max_tokens = most.max(Settings::default().max_tokens);
    let stand = Stand::open(cores, Settings { max_tokens, ..Settings::default() }).await;
    let mut tokens = Vec::with_capacity(most);
    for count in counts {
        while tokens.len() < count {
            tokens.push(stand.token(0));
            if tokens.len().is_multiple_of(10_000) {
                eprintln!("    {} of {} tokens signed", spaced(tokens.len()), spaced(count));
            }
        }
        // Signing takes longer than a connection may be idle.
        let mut crew = crew(&stand, CALLERS, CALLERS, HEAD_BYTES).await;
        let asked = Asked { tokens: tokens.clone(), ..small(&stand) };
        row(&stand, &format!("tokens remembered: {}", spaced(count)), &mut crew, asked).await;
    }
    idle_again(&stand).await;
    stand.end().await;
}

async fn bodies(cores: &Cores, large: bool) {
    let stand = Stand::open(cores, Settings::default()).await;
    let sizes = [("1 kB", 1_000), ("100 kB", 100_000), ("10 MB", 10_000_000), ("1 GB", LARGE_BODY)];
    for way in ["answers", "uploads"] {
        for (size, bytes) in sizes.into_iter().take(if large { 4 } else { 3 }) {
            let callers = if bytes >= LARGE_BODY { 1 } else { BODY_CALLERS };
            let mut crew = crew(&stand, callers, callers, READ_BYTES).await;
            let asked = if way == "answers" {
                let path = ("/down/", format!("/{bytes}"));
                Asked { path, expected_bytes: Some(bytes), ..small(&stand) }
            } else {
                let path = ("/up/", String::new());
                Asked { path, sent_bytes: Some(bytes), ..small(&stand) }
            };
            row(&stand, &format!("{way}: {size}"), &mut crew, asked).await;
        }
    }
    idle_again(&stand).await;
    stand.end().await;
}

async fn protocols(cores: &Cores) {
    for tls in [Tls::Plain, Tls::Encrypted] {
        let stand = Stand::open(cores, Settings { tls, ..Settings::default() }).await;
        let tasks = &stand.tasks;
        let multiplexed = match tls {
            Tls::Plain => {
                let mut crew = crew(&stand, CALLERS, CALLERS, HEAD_BYTES).await;
                row(&stand, "HTTP/1.1", &mut crew, small(&stand)).await;
                Multiplexed::over(connect(&stand).await, "http", tasks).await
            }
            Tls::Encrypted => {
                let mut lines = Vec::new();
                for _ in 0..CALLERS {
                    let stream = encrypt(&stand, "http/1.1").await;
                    lines.push(Line::over(stream, HEAD_BYTES));
                }
                let mut crew = Crew::of(lines, CALLERS, tasks);
                row(&stand, "HTTP/1.1, TLS", &mut crew, small(&stand)).await;
                Multiplexed::over(encrypt(&stand, "h2").await, "https", tasks).await
            }
        };
        let mut crew = Crew::of(vec![multiplexed; CALLERS], CALLERS, tasks);
        let name = if tls == Tls::Plain {
            "HTTP/2, one connection"
        } else {
            "HTTP/2, one connection, TLS"
        };
        row(&stand, name, &mut crew, small(&stand)).await;
        drop(crew);
        stand.end().await;
    }
}

/// Asks each request once, and then any of them without a pause.
async fn row<A: Asks>(stand: &Stand, name: &str, crew: &mut Crew<A>, asked: Asked) {
    let asked = Arc::new(asked);
    crew.ask_each(&asked).await;
    crew.ask_for(&asked, TURN).await;
    let process = stand.program.process;
    let asked_before = stand.asked();
    let (mut spent, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (began, before) = (now(), process.cpu());
        let count = f64::from(crew.ask_for(&asked, TURN).await);
        spent.push(process.cpu().saturating_sub(before).as_secs_f64() * 1e6 / count);
        rates.push(count / began.elapsed().as_secs_f64());
    }
    let resident = mebibytes(process.resident());
    let [spent, rate] = [spent, rates].map(|mut values| {
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.5)
    });
    println!("  {name:<40} {spent:>13.1} {rate:>12.0} {resident:>14}");
    let renewed = stand.asked() - asked_before;
    if renewed > 1 {
        println!("    not all were warm: the PDP was asked {renewed} times");
    }
}

/// What is resident when everybody has left and nothing more is given back; and the same after somebody has
/// asked again, since a process that does nothing has no occasion to tidy up.
async fn idle_again(stand: &Stand) {
    let print = |name, resident| println!("  {name:<40} {:>41}", mebibytes(resident));
    print("  idle again", settled(stand).await);
    let mut crew = crew(stand, 1, 1, HEAD_BYTES).await;
    crew.ask_for(&Arc::new(small(stand)), TURN).await;
    drop(crew);
    print("  idle again, after a few more requests", settled(stand).await);
}

async fn settled(stand: &Stand) -> u64 {
    let process = stand.program.process;
    let (end, mut lowest, mut since) = (now() + PATIENCE, process.resident(), now());
    while now() < end && since.elapsed() < QUIET {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let resident = process.resident();
        // Not each page counts.
        if resident < lowest - lowest / 200 {
            (lowest, since) = (resident, now());
        }
    }
    process.resident()
}

/// A request for little, by the same caller for the same party.
fn small(stand: &Stand) -> Asked {
    Asked {
        path: ("/small/", String::new()),
        parties: vec![permitted()],
        tokens: vec![stand.token(0)],
        sent_bytes: None,
        expected_bytes: None,
    }
}

/// Callers by HTTP/1.1, in the clear. Each connection has asked once: until then it takes less than one in use.
async fn crew(
    stand: &Stand,
    lines: usize,
    callers: usize,
    read_bytes: usize,
) -> Crew<Line<TcpStream>> {
    let (mut opened, first) = (Vec::with_capacity(lines), small(stand));
    for _ in 0..lines {
        let mut line = Line::over(connect(stand).await, read_bytes);
        line.ask(&first.numbered(0)).await;
        opened.push(line);
    }
    Crew::of(opened, callers, &stand.tasks)
}

async fn connect(stand: &Stand) -> TcpStream {
    let stream = TcpStream::connect(stand.program.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

async fn encrypt(stand: &Stand, protocol: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(stand.certificate.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from(NAME).unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, connect(stand).await);
    let stream = connecting.await.unwrap();
    assert!(stream.get_ref().1.alpn_protocol() == Some(protocol.as_bytes()), "not {protocol}");
    stream
}

/// With spaces between thousands.
fn spaced(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
