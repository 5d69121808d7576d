//! The commands of a page, taken out of it and run in order as a reader would.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A command that goes on serving, by a part of it, and what it says when it serves.
const SERVING: [(&str, &str); 5] = [
    ("-- demo", "Decision records follow"),
    ("portvakt pdp", "Ctrl-C ends it"),
    ("portvakt issuer", "client keys"),
    ("portvakt serve", " serving "),
    ("-m http.server", "Serving HTTP on"),
];

/// A fenced block: its language and its text.
type Block = (String, String);

/// Runs commands in a folder of its own, with what serves in the background.
pub(crate) struct Walk {
    folder: tempdir::Folder,
    at: PathBuf,
    script: String,
    base: u16,
    literal: bool,
    /// What `sh` says before each block.
    prelude: String,
    serving: Vec<Child>,
}

impl Walk {
    /// In an empty folder. A literal walk runs every command as it stands; the others run the program
    /// just built, on free ports.
    pub(crate) fn begin(name: &str, literal: bool) -> Self {
        let folder = tempdir::Folder::new(name);
        let at = folder.path().to_owned();
        let base = if literal { 7080 } else { free_ports() };
        let (script, prelude) = Default::default();
        Self { folder, at, script, base, literal, prelude, serving: Vec::new() }
    }

    /// What is shown is all that a terminal shows, and `portvakt` is the program just built.
    pub(crate) fn in_a_terminal(mut self) -> Self {
        let programs = self.folder.path().join(".programs");
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_portvakt"), programs.join("portvakt"))
            .unwrap();
        self.prelude = format!(
            "exec 2>&1; unset PORTVAKT_SHARED; export PYTHONUNBUFFERED=1 PORTVAKT={ROOT} PATH={}:$PATH\n",
            programs.display()
        );
        self
    }

    /// Where the commands are run.
    pub(crate) fn folder(&self) -> &Path {
        &self.at
    }

    /// Runs every `sh` block of a page; what is shown in a `json` or `text` block after it must be what its
    /// commands print. Gives how many were compared.
    pub(crate) fn follow(&mut self, page: &str) -> usize {
        let mut said: Option<String> = None;
        let mut compared = 0;
        for (language, text) in blocks(page) {
            match language.as_str() {
                "sh" if text.trim() == "cargo test" => {}
                "sh" => said = Some(self.run(&text)),
                "json" | "text" => {
                    let output = said.take().expect("output is shown after a command");
                    assert!(
                        is_like(output.trim(), text.trim()),
                        "the page shows:\n{text}\nand this came:\n{output}"
                    );
                    compared += 1;
                }
                _ => {}
            }
        }
        compared
    }

    /// Runs a block; gives what its commands print.
    pub(crate) fn run(&mut self, block: &str) -> String {
        let mut commands = String::new();
        for line in block.lines() {
            if let Some(source) = line.strip_prefix("git clone ") {
                self.clone_from(source);
            } else if let Some(folder) = line.strip_prefix("cd ") {
                self.at = self.folder.path().join(folder);
            } else if let Some((_, ready)) = SERVING.iter().find(|(word, _)| line.contains(word)) {
                self.start(line, ready);
            } else {
                commands.push_str(line);
                commands.push('\n');
            }
        }
        // A shell for each block, with the variables of the ones before: as in one terminal.
        let from = self.script.len();
        self.script.push_str(&self.adapted(&commands));
        let (before, now) = self.script.split_at(from);
        let prelude = &self.prelude;
        let script = format!("exec 3>&1 >/dev/null\n{prelude}{before}\nexec >&3\n{prelude}{now}");
        let output =
            Command::new("sh").arg("-c").arg(&script).current_dir(&self.at).output().unwrap();
        let said = [&output.stdout[..], &output.stderr].concat();
        assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&said));
        // What printed may not be printed twice by a later block.
        self.script.truncate(from);
        let kept: String = now_variables(&commands).map(|line| self.adapted(&line)).collect();
        self.script.push_str(&kept);
        String::from_utf8(output.stdout).unwrap()
    }

    fn clone_from(&self, source: &str) {
        let name = source.rsplit('/').next().unwrap();
        let folder = self.folder.path().join(name);
        if self.literal {
            let cloned =
                Command::new("git").args(["clone", "--quiet", ROOT]).arg(&folder).status().unwrap();
            assert!(cloned.success());
            // What is built already need not be built again.
            let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
            std::os::unix::fs::symlink(target, folder.join("target")).unwrap();
            keep_times(&folder);
        } else {
            fs::create_dir(folder).unwrap();
        }
    }

    /// Starts what goes on serving, and waits until it says that it does.
    fn start(&mut self, line: &str, ready: &str) {
        let command = self.adapted(line);
        let mut serving = Command::new("sh")
            .arg("-c")
            .arg(format!("exec 1>&2\n{}\nexec {command}", self.prelude))
            .current_dir(&self.at)
            .env_remove("CARGO_TARGET_DIR")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut talk = BufReader::new(serving.stderr.take().unwrap());
        self.serving.push(serving);
        let (mut heard, mut line) = (String::new(), String::new());
        while talk.read_line(&mut line).unwrap() > 0 {
            heard.push_str(&line);
            if line.contains(ready) {
                // What it says later must not fill the pipe.
                std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
                return;
            }
            line.clear();
        }
        panic!("`{command}` did not start:\n{heard}");
    }

    /// The command as this walk can run it.
    fn adapted(&self, command: &str) -> String {
        if self.literal {
            return command.to_owned();
        }
        let program = env!("CARGO_BIN_EXE_portvakt");
        let base = self.base;
        command
            .replace("cargo run --release -- demo", &format!("{program} demo --port-base {base}"))
            .replace(
                "target/release/portvakt token mint",
                &format!("{program} token mint --issuer http://127.0.0.1:{}/", base + 1),
            )
            .replace(
                "target/release/portvakt pdp",
                &format!(
                    "{program} pdp --listen 127.0.0.1:{} --control 127.0.0.1:{}",
                    base + 2,
                    base + 11
                ),
            )
            .replace("target/release/portvakt", program)
            .replace("portvakt issuer", &format!("portvakt issuer --listen 127.0.0.1:{}", base + 1))
            .replace("--directory api 7083", &format!("--directory api {}", base + 3))
            .replace("127.0.0.1:7080", &format!("127.0.0.1:{base}"))
            .replace("127.0.0.1:7081", &format!("127.0.0.1:{}", base + 1))
            .replace("127.0.0.1:7083", &format!("127.0.0.1:{}", base + 3))
            .replace("127.0.0.1:7090", &format!("127.0.0.1:{}", base + 10))
            .replace("127.0.0.1:7082", &format!("127.0.0.1:{}", base + 2))
            .replace("127.0.0.1:7091", &format!("127.0.0.1:{}", base + 11))
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        for serving in &mut self.serving {
            let _ = serving.kill();
            let _ = serving.wait();
        }
    }
}

/// Gives each file of a clone that is what it is here the time it has here: Cargo builds by times what it
/// could see by contents.
fn keep_times(clone: &Path) {
    let listed =
        Command::new("git").args(["ls-files", "-z"]).current_dir(clone).output().unwrap().stdout;
    for name in String::from_utf8(listed).unwrap().split_terminator('\0') {
        let (here, there) = (Path::new(ROOT).join(name), clone.join(name));
        if fs::read(&here).ok() == fs::read(&there).ok() {
            let time = fs::metadata(&here).unwrap().modified().unwrap();
            fs::File::options().write(true).open(&there).unwrap().set_modified(time).unwrap();
        }
    }
}

/// The lines of a block that set variables, with their continuations.
fn now_variables(block: &str) -> impl Iterator<Item = String> {
    let joined = block.replace("\\\n", " ");
    let lines: Vec<String> = joined
        .lines()
        .filter(|line| {
            line.split('=').next().is_some_and(|name| {
                name.chars().all(|c| c.is_ascii_lowercase()) && line.contains('=')
            })
        })
        .map(|line| format!("{line}\n"))
        .collect();
    lines.into_iter()
}

/// Twelve ports in a row that nobody has at the moment, below those that the system gives out by itself:
/// the other tests, which run at the same time, cannot be given one of them.
fn free_ports() -> u16 {
    static WALKS: AtomicU16 = AtomicU16::new(0);
    let turn = u16::try_from(std::process::id() % 1000).unwrap();
    let turn = turn + 100 * WALKS.fetch_add(1, Ordering::Relaxed);
    let candidates = (0..1000).map(|step| 20_000 + (turn + step) % 1000 * 12);
    let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let mut free = candidates.filter(|first| (*first..=*first + 11).all(is_free));
    free.next().expect("twelve free ports in a row")
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, body)), None) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// Whether the text is the pattern, with anything in place of each `…`.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else { return text == pattern };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = others.split('…').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn the_comparison_can_fail() {
    assert!(is_like("a 1 b", "a … b") && is_like("a 1 b 2 b", "a … b") && is_like("a 1", "a …"));
    for (text, pattern) in
        [("a 1 c", "a … b"), ("xa 1 b", "a … b"), ("a 1 b!", "a … b"), ("a", "b")]
    {
        assert!(!is_like(text, pattern), "{text} {pattern}");
    }
}

#[test]
fn a_terminal_shows_data_and_talk() {
    let mut walk = Walk::begin("terminal", false).in_a_terminal();
    let said = walk.run("portvakt check -c nowhere.yaml || echo ended with $?\n");
    assert!(said.contains("nowhere.yaml") && said.ends_with("\nended with 1\n"), "{said}");
}

mod tempdir {
    //! A folder that goes with its owner.

    use std::path::{Path, PathBuf};
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(super) struct Folder(PathBuf);

    static COUNT: AtomicU32 = AtomicU32::new(0);

    impl Folder {
        pub(super) fn new(name: &str) -> Self {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = std::env::temp_dir()
                .join(format!("portvakt-{name}-{}-{count}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(super) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
