//! Files that change while the proxy runs: taken whole, refused whole, and never seen half.

use crate::support::log;
use crate::support::{
    ISSUER, READ, RULES, Server, ask, eventually, exchange, jwks, ok, permits, soon,
};
use portvakt::config::{self, Environment, Files, Inputs, Overrides, Runtime};
use portvakt::domain::SystemClock;
use portvakt::pdp::{DecisionPoint, Scripted};
use portvakt::record::RecordSink;
use portvakt::server::{Gate, Reloaded, Reloader};
use portvakt::tasks::Tasks;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A rule beside [`RULES`], for a path of its own.
const FURTHER: &str = "api: it
rules:
  - { id: further, match: { method: GET, path: /v1/further }, protection: public }
";

/// A folder as Kubernetes mounts a ConfigMap: each name is a link through `..data`, which is swapped at once for
/// another version of everything.
struct Mounted {
    root: PathBuf,
    version: usize,
}

impl Mounted {
    fn at(root: PathBuf) -> Self {
        fs::create_dir_all(&root).unwrap();
        Self { root, version: 0 }
    }

    /// These files and no others, all at once. The former version is gone, as a kubelet removes it.
    fn swap(&mut self, files: &[(&str, &str)]) {
        use std::os::unix::fs::symlink;
        let former = self.version;
        self.version += 1;
        let version = format!("..version-{}", self.version);
        fs::create_dir(self.root.join(&version)).unwrap();
        for (name, text) in files {
            fs::write(self.root.join(&version).join(name), text).unwrap();
        }
        symlink(&version, self.root.join("..data_tmp")).unwrap();
        fs::rename(self.root.join("..data_tmp"), self.root.join("..data")).unwrap();
        for (name, _) in files {
            let link = self.root.join(name);
            if !link.is_symlink() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        for entry in fs::read_dir(&self.root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() && !path.exists() {
                fs::remove_file(path).unwrap();
            }
        }
        if former > 0 {
            fs::remove_dir_all(self.root.join(format!("..version-{former}"))).unwrap();
        }
    }
}

/// Everything that is mounted, gone with its test.
struct Volumes {
    root: PathBuf,
    upstream: String,
    config: Mounted,
    rules: Mounted,
    secrets: Mounted,
}

impl Volumes {
    fn new(upstream: &Server) -> Self {
        let root = std::env::temp_dir().join(format!("portvakt-{}", uuid::Uuid::new_v4()));
        let at = |name: &str| Mounted::at(root.join(name));
        let (config, rules, secrets) = (at("config"), at("policies/routes"), at("secrets"));
        let mut volumes = Self { root, upstream: upstream.url(), config, rules, secrets };
        fs::write(volumes.root.join("keys.json"), jwks()).unwrap();
        volumes.secrets.swap(&[("token", FIRST)]);
        volumes.rules.swap(&[("it.yaml", RULES)]);
        volumes.configure("");
        volumes
    }

    /// The configuration, with further settings.
    fn configure(&mut self, settings: &str) {
        let upstream = &self.upstream;
        let text = format!(
            "environment: custom
server: {{ listen: ['127.0.0.1:0'] }}
admin: {{ listen: '127.0.0.1:0' }}
control: {{ listen: '127.0.0.1:0', token_file: ../secrets/token }}
shutdown: {{ wait: 0s, grace: 10s }}
upstream: {{ url: '{upstream}', authorization: forward }}
pdp: {{ url: 'http://127.0.0.1:9', credential: {{ none: true }} }}
tokens: {{ issuers: [{{ kind: maskinporten, issuer: '{ISSUER}', jwks_file: ../keys.json }}] }}
identifiers: {{ check_digits: strict }}
policies: ../policies
{settings}"
        );
        self.config.swap(&[("portvakt.yaml", &text)]);
    }

    fn file(&self) -> PathBuf {
        self.config.root.join("portvakt.yaml")
    }
}

impl Drop for Volumes {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A proxy over files, and a way to have them read again.
struct World {
    gate: Gate,
    reloader: Reloader,
    volumes: Volumes,
}

impl World {
    async fn open(upstream: &Server) -> Self {
        Self::over(Volumes::new(upstream), Some(permits())).await
    }

    /// `None` for the point that the files name.
    async fn over(volumes: Volumes, point: Option<Arc<Scripted>>) -> Self {
        let point = point.map(|point| point as Arc<dyn DecisionPoint>);
        let inputs = Inputs {
            config: vec![volumes.file()],
            files: Files::Disk,
            environment: Environment::default(),
            flags: Vec::new(),
            overrides: Overrides { point, ..Overrides::default() },
        };
        let tasks = Tasks::new();
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        let (outcome, notes) = config::compile_noted(&inputs, None, &runtime);
        let said = outcome.diagnostics.to_human(config::Colour::Plain);
        let compiled = outcome.compiled.unwrap_or_else(|| panic!("{said}"));
        let gate = Gate::open(compiled.clone(), RecordSink::Off, tasks).await.unwrap();
        let reloader = gate.reloader(compiled, inputs, notes, runtime);
        Self { gate, reloader, volumes }
    }

    async fn status(&self, path: &str) -> u16 {
        status(self.gate.traffic()[0], path).await
    }

    async fn metric(&self, name: &str) -> String {
        metric(self.gate.admin()[0], name).await
    }

    async fn taken(&mut self) -> Vec<&'static str> {
        match self.reloader.reload_if_changed().await {
            Some(Reloaded::Taken { needs_restart, .. }) => needs_restart,
            other => panic!("{other:?}"),
        }
    }

    async fn refused(&mut self) -> String {
        match self.reloader.reload_if_changed().await {
            Some(Reloaded::Refused(refusal)) => refusal.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

async fn status(traffic: SocketAddr, path: &str) -> u16 {
    exchange(traffic, ask("GET", path).bearer().bytes()).await.status
}

async fn metric(admin: SocketAddr, name: &str) -> String {
    let text = exchange(admin, ask("GET", "/metrics").bytes()).await.text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).trim().to_owned()
}

const CURRENT: &str = "portvakt_state{what=\"config_current\"}";
const GENERATION: &str = "portvakt_state{what=\"generation\"}";
const RESTART: &str = "portvakt_state{what=\"restart_needed\"}";
const TAKEN: &str = "portvakt_reloads_total{outcome=\"taken\"}";
const REFUSED: &str = "portvakt_reloads_total{outcome=\"refused\"}";
const FIRST: &str = "first-0123456789";
const SECOND: &str = "second-0123456789";

#[tokio::test]
async fn a_changed_mount_is_taken_whole_and_a_faulty_one_changes_nothing() {
    log::listen();
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    assert!(world.reloader.reload_if_changed().await.is_none(), "nothing has changed");
    assert_eq!((world.status(READ).await, world.status("/v1/further").await), (200, 404));
    world.volumes.rules.swap(&[("it.yaml", RULES), ("further.yaml", FURTHER)]);
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!((world.status(READ).await, world.status("/v1/further").await), (200, 200));
    assert_eq!(world.metric(GENERATION).await, "2");

    let broken = FURTHER.replace("protection: public", "protection: publik");
    world.volumes.rules.swap(&[("further.yaml", &broken)]);
    assert!(world.refused().await.contains("portvakt check"));
    assert!(world.reloader.reload_if_changed().await.is_none(), "said once");
    let said = log::about("publik");
    assert!(said.iter().any(|line| line.contains("further.yaml:3")), "{said:?}");
    assert_eq!((world.status(READ).await, world.status("/v1/further").await), (200, 200));
    let metrics = [GENERATION, CURRENT, TAKEN, REFUSED];
    for (name, expected) in metrics.iter().zip(["2", "0", "1", "1"]) {
        assert_eq!(world.metric(name).await, expected, "{name}");
    }

    world.volumes.rules.swap(&[("further.yaml", FURTHER)]);
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!((world.status(READ).await, world.status("/v1/further").await), (404, 200));
    for (name, expected) in metrics.iter().zip(["3", "1", "2", "1"]) {
        assert_eq!(world.metric(name).await, expected, "{name}");
    }
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn a_changed_secret_is_in_force_and_the_former_is_not() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    let control = world.gate.control().unwrap();
    let purge = async |token: &str| {
        let request = format!(
            "POST /decisions/purge HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 12\r\n\r\n{{\"all\":true}}"
        );
        exchange(control, request.as_bytes()).await.status
    };
    assert_eq!((purge(FIRST).await, purge(SECOND).await), (200, 401));
    world.volumes.secrets.swap(&[("token", SECOND)]);
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!((purge(FIRST).await, purge(SECOND).await), (401, 200));
    world.volumes.secrets.swap(&[("token", "short")]);
    world.refused().await;
    assert_eq!((purge(FIRST).await, purge(SECOND).await), (401, 200));
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn what_needs_a_new_start_is_named_until_it_is_taken_back_and_the_rest_is_in_force() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    world.volumes.configure("log: { level: debug }\n");
    assert_eq!(world.taken().await, ["log"]);
    let states = async |world: &World| (world.metric(RESTART).await, world.metric(CURRENT).await);
    assert_eq!(states(&world).await, ("1".into(), "1".into()));
    // The next reload compares with the start, too.
    world.volumes.rules.swap(&[("it.yaml", RULES), ("further.yaml", FURTHER)]);
    assert_eq!(world.taken().await, ["log"]);
    assert_eq!(world.status("/v1/further").await, 200);
    let good = fs::read_to_string(world.volumes.file()).unwrap();
    let patient = good.replace("upstream: {", "upstream: { response_timeout: 1s,");
    world.volumes.config.swap(&[("portvakt.yaml", &patient)]);
    assert_eq!(world.taken().await, ["upstream", "log"]);
    // A fault in between does not make it forgotten.
    world.volumes.config.swap(&[("portvakt.yaml", "server: 5\n")]);
    world.refused().await;
    assert_eq!(states(&world).await, ("1".into(), "0".into()));
    world.volumes.configure("");
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!(states(&world).await, ("0".into(), "1".into()));
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn our_own_token_outlives_a_reload_and_one_that_cannot_be_had_does_not_take_its_place() {
    let upstream = Server::start(ok());
    let mut volumes = Volumes::new(&upstream);
    let tokens = volumes.root.join("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(tokens.join("one"), "one-token").unwrap();
    volumes.configure("");
    let good = fs::read_to_string(volumes.file()).unwrap();
    let with = |file: &str, ttl: &str| {
        let good = good.replace("none: true", &format!("token_file: ../tokens/{file}"));
        format!("{good}cache: {{ permit_ttl: {ttl} }}\n")
    };
    volumes.config.swap(&[("portvakt.yaml", &with("one", "60s"))]);
    let mut world = World::over(volumes, None).await;
    let admin = world.gate.admin()[0];
    let age = "portvakt_credential_age_seconds";
    let told = async || exchange(admin, ask("GET", "/metrics").bytes()).await.text().contains(age);
    soon("our own token", async { while !told().await {} }).await;
    // It would be gone, had it to be fetched anew.
    fs::remove_file(tokens.join("one")).unwrap();
    world.volumes.config.swap(&[("portvakt.yaml", &with("one", "90s"))]);
    assert_eq!(world.taken().await, [""; 0]);
    assert!(told().await);
    world.volumes.config.swap(&[("portvakt.yaml", &with("two", "90s"))]);
    let said = world.refused().await;
    assert!(said.starts_with("our own token cannot be fetched: the token file"), "{said}");
    assert!(told().await);
    fs::write(tokens.join("two"), "two-token").unwrap();
    world.volumes.config.swap(&[("portvakt.yaml", &with("two", "91s"))]);
    assert_eq!(world.taken().await, [""; 0]);
    assert!(told().await);
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn rules_for_another_api_are_not_in_force_before_it_is() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    let good = fs::read_to_string(world.volumes.file()).unwrap();
    world.volumes.rules.swap(&[("it.yaml", RULES), ("further.yaml", FURTHER)]);
    for (from, to, named) in [
        ("authorization: forward", "authorization: strip", "upstream.authorization"),
        ("server: {", "server: { trusted_proxies: 10.0.0.0/8,", "server.trusted_proxies"),
        ("'127.0.0.1:0'] }", "'127.0.0.1:0', 'unix:/tmp/portvakt-none'] }", "server.listen"),
    ] {
        world.volumes.config.swap(&[("portvakt.yaml", &good.replace(from, to))]);
        let said = world.refused().await;
        assert!(said.ends_with(named), "{said}");
        assert_eq!(world.status("/v1/further").await, 404);
        let states = (world.metric(RESTART).await, world.metric(CURRENT).await);
        assert_eq!(states, ("1".into(), "0".into()));
    }
    world.volumes.config.swap(&[("portvakt.yaml", &good)]);
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!(world.status("/v1/further").await, 200);
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn nothing_of_a_former_configuration_lives_on_but_the_keys_of_issuers_that_stay() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    let first = Arc::downgrade(&world.gate.snapshot());
    assert_eq!(world.status(READ).await, 200);
    let good = fs::read_to_string(world.volumes.file()).unwrap();
    // Had they to be fetched anew, there would be none.
    fs::write(world.volumes.root.join("keys.json"), "{\"keys\":[]}").unwrap();
    let patient = good.replace("tokens: {", "tokens: { leeway: 5s,");
    world.volumes.config.swap(&[("portvakt.yaml", &patient)]);
    assert_eq!(world.taken().await, [""; 0]);
    assert_eq!(world.status(READ).await, 200);
    eventually("the end of the former snapshot", || first.upgrade().is_none()).await;
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn issuers_without_keys_do_not_take_the_place_of_those_that_have_some() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    let good = fs::read_to_string(world.volumes.file()).unwrap();
    let elsewhere = good.replace("../keys.json", "../other.json");
    fs::write(world.volumes.root.join("other.json"), "{\"keys\":[]}").unwrap();
    world.volumes.config.swap(&[("portvakt.yaml", &elsewhere)]);
    let said = world.refused().await;
    assert!(said.contains("keys"), "{said}");
    assert_eq!((world.status(READ).await, world.metric(CURRENT).await), (200, "0".into()));
    // They are asked for again without a further change, after a pause; that is one refusal.
    assert!(world.reloader.reload_if_changed().await.is_none());
    fs::write(world.volumes.root.join("other.json"), jwks()).unwrap();
    let again = async {
        loop {
            match world.reloader.reload_if_changed().await {
                None => tokio::task::yield_now().await,
                Some(reloaded) => return reloaded,
            }
        }
    };
    assert!(matches!(soon("the next attempt", again).await, Reloaded::Taken { .. }));
    assert_eq!(world.metric(REFUSED).await, "1");
    assert_eq!((world.status(READ).await, world.metric(CURRENT).await), (200, "1".into()));
    assert!(world.gate.close().await);
}

#[tokio::test]
async fn requests_during_a_hundred_reloads_are_all_answered_and_leave_nothing_behind() {
    let upstream = Server::start(ok());
    let mut world = World::open(&upstream).await;
    let (traffic, asked) = (world.gate.traffic()[0], Arc::new(AtomicUsize::new(0)));
    let tasks = Tasks::new();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let asked = Arc::clone(&asked);
            tasks.spawn(async move {
                loop {
                    assert_eq!(status(traffic, READ).await, 200);
                    assert!([200, 404].contains(&status(traffic, "/v1/further").await));
                    asked.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut running = Vec::new();
    for turn in 0..100 {
        match turn % 4 {
            0 => world.volumes.rules.swap(&[("it.yaml", RULES), ("further.yaml", FURTHER)]),
            1 => world.volumes.configure(&format!("cache: {{ permit_ttl: {}s }}\n", turn / 4 + 1)),
            2 => world.volumes.rules.swap(&[("it.yaml", "api: it\nrules: [{ id: half }]\n")]),
            _ => world.volumes.rules.swap(&[("it.yaml", RULES)]),
        }
        match world.reloader.reload_if_changed().await {
            Some(Reloaded::Taken { .. }) => assert_ne!(turn % 4, 2),
            Some(Reloaded::Refused(_)) => assert_eq!(turn % 4, 2),
            None => panic!("turn {turn} was not seen"),
        }
        let before = asked.load(Ordering::Relaxed);
        eventually("requests between", || asked.load(Ordering::Relaxed) > before + 8).await;
        running.push(world.reloader.running());
    }
    for caller in &callers {
        assert!(!caller.is_finished(), "a request was answered wrongly");
        caller.abort();
    }
    assert!(running[99] <= running[3] + 20, "tasks are left behind: {running:?}");
    assert!(world.gate.close().await);
}

/// The program over these files, ended with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_reads_its_files_again_on_sighup_goes_on_and_leaves_when_told() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let upstream = runtime.block_on(async { Server::start(ok()) });
    let mut volumes = Volumes::new(&upstream);
    let mut child = Command::new(env!("CARGO_BIN_EXE_portvakt"))
        .args(["serve", "--config"])
        .arg(volumes.file())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = |mark: &str| lines.by_ref().find(|line| line.contains(mark)).unwrap();
    let mut program = Program(child);
    let signal = |name: &str, program: &Program| {
        let id = program.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    said("\"serving\"");
    for generation in 2..=3 {
        signal("-HUP", &program);
        let line = said("is in force");
        assert!(line.contains(&format!("\"generation\":{generation}")), "{line}");
    }
    volumes.configure("server: 5\n");
    signal("-HUP", &program);
    said("not reloaded");
    // Without a signal, once the files have come to rest.
    volumes.configure("cache: { permit_ttl: 7s }\n");
    let line = said("is in force");
    assert!(line.contains("\"generation\":4"), "{line}");
    let drain = |number: u32| {
        let (number, program) = (number.to_string(), env!("CARGO_BIN_EXE_portvakt"));
        let ended = Command::new(program).args(["drain", "--pid", &number]).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let (code, fault) = drain(std::process::id());
    assert_eq!((code, fault.contains("another program")), (Some(2), true), "{fault}");
    assert_eq!(drain(program.0.id()).0, Some(0));
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}
