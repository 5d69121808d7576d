//! `portvakt explain`: what would happen to one request, and why, by the very function that the proxy
//! calls. Nothing is forwarded.

use super::console::{self, Exit, Format};
use super::explained::Explained;
use super::rebuilt::{Rebuilt, rebuild};
use super::{ConfigArgs, FormatArgs, runtime};
use crate::authorize::{Permit, authorize, overlook};
use crate::config::{self, Compiled, Environment, Files, Inputs, Overrides, Runtime};
use crate::dev::Mint;
use crate::domain::{
    Decision, DecisionSource, Denial, Head, Inbound, InboundBody, Indeterminate, Obligations, Peer,
    RequestId, RequestTarget, SystemClock, Upgrade,
};
use crate::pdp::Scripted;
use crate::record::{Journey, Recorded, Records, Steps};
use crate::tasks::Tasks;
use bytes::Bytes;
use clap::{Args, ValueEnum};
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Version};
use serde_json::Value;
use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

/// Judges one request with `authorize`, prints each step, and exits with 1 if it would be refused.
///
/// The token is a real one (`--token`), or is minted from claims with a key made for this run (`--claims`).
/// The embedded PDP decides by itself; Altinn's PDP is asked only with `--live`, else say with `--pdp` what
/// it would answer.
#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigArgs,
    /// The method.
    #[arg(required_unless_present = "record")]
    method: Option<Method>,
    /// Path and query, or a whole URL whose host is then the request's `Host`.
    #[arg(required_unless_present = "record")]
    url: Option<String>,
    /// In place of method, URL and token: the id of a request in a log of decision records, from which it is rebuilt as far
    /// as the record tells. The record's decision is the PDP's answer, unless another is asked for.
    #[arg(long, value_name = "ID", requires = "log", conflicts_with_all = ["method", "url", "token", "claims", "headers", "data"])]
    record: Option<String>,
    /// The file with the decision records.
    #[arg(long, value_name = "FILE", requires = "record")]
    log: Option<PathBuf>,
    /// A file with the access token.
    #[arg(long, value_name = "FILE", conflicts_with = "claims")]
    token: Option<PathBuf>,
    /// A file with claims in JSON; missing times are filled in.
    #[arg(long, value_name = "FILE")]
    claims: Option<PathBuf>,
    /// A header, `Name: value`; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The body, or `@FILE`.
    #[arg(short, long, value_name = "BODY")]
    data: Option<String>,
    /// What the PDP would answer; without it the embedded PDP decides, and Altinn's is asked with `--live` only.
    #[arg(long, value_enum, value_name = "DECISION")]
    pdp: Option<Answer>,
    /// Ask the configured PDP, also where that is Altinn's.
    #[arg(long, conflicts_with = "pdp")]
    live: bool,
    #[command(flatten)]
    format: FormatArgs,
}

/// What is judged.
struct Asked {
    head: Head,
    body: Bytes,
    /// Of a token that is minted for it.
    claims: Option<Value>,
    /// What the PDP is to answer.
    answer: Option<Answer>,
    /// How the request ended whose record it was rebuilt from.
    recorded: Option<String>,
    /// What that record does not tell.
    assumed: Vec<String>,
}

/// An answer of the PDP, for `--pdp`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Answer {
    Permit,
    Deny,
    NotApplicable,
    Indeterminate,
}

impl Explain {
    pub(super) fn run(self) -> Exit {
        runtime::block_on(self.explain())
    }

    async fn explain(self) -> Exit {
        let tasks = Tasks::new();
        let asked = if self.record.is_some() { self.recorded(&tasks) } else { self.given() };
        let mut asked = match asked {
            Ok(asked) => asked,
            Err(exit) => return exit,
        };
        let compiled = match self.prepare(&tasks, &mut asked) {
            Ok(compiled) => compiled,
            Err(exit) => return exit,
        };
        let Asked { head, body, recorded, assumed, .. } = asked;
        compiled.snapshot.tokens.start().await;
        let mut inbound = Inbound { head, peer: Peer::LOCAL, body: InboundBody::Buffered(body) };
        let clock = Arc::clone(&compiled.snapshot.clock);
        let generation = compiled.snapshot.generation;
        let method = inbound.head.method.clone();
        let begin = |steps| {
            let (clock, method) = (Arc::clone(&clock), method.clone());
            Journey::begin(RequestId::fresh(), method, generation, clock, None, steps)
        };
        let overlooked = overlook(&compiled.snapshot, &inbound, &mut begin(Steps::Dropped));
        let mut journey = begin(Steps::Kept);
        let verdict = authorize(&compiled.snapshot, &mut inbound, &mut journey).await;
        // What `--pdp` answers is the user's own word.
        let source = compiled.snapshot.decisions.source();
        let unexplained = self.live && source == DecisionSource::Pdp;
        let silent = unexplained.then(|| silent_refusal(&journey, &verdict)).flatten();
        let shadow = overlooked.map(|_| IN_SHADOW);
        let mut notes: Vec<_> = [shadow, silent].into_iter().flatten().map(str::to_owned).collect();
        notes.extend(assumed.into_iter().map(|what| format!("not in the record: {what}")));
        notes.extend(recorded.map(|code| beside_record(&code, &verdict)));
        let snapshot = &compiled.snapshot;
        let explained = Explained::of(&journey, &verdict, &inbound.head, snapshot, notes);
        let text = match self.format.format {
            Format::Human => explained.to_human(),
            Format::Json => explained.to_json(),
        };
        console::data(&text);
        if verdict.is_ok() { Exit::Ok } else { Exit::Found }
    }

    /// The request that the command line says.
    fn given(&self) -> Result<Asked, Exit> {
        let misused = |fault: String| console::misused(&fault);
        let head = self.head().map_err(misused)?;
        let body = self.body().map_err(misused)?;
        let claims = match &self.claims {
            None => None,
            Some(path) => {
                let claims = read(path).map_err(misused)?;
                let claims = serde_json::from_str(&claims);
                Some(claims.map_err(|fault| misused(format!("the claims are not JSON: {fault}")))?)
            }
        };
        Ok(Asked { head, body, claims, answer: self.pdp, recorded: None, assumed: Vec::new() })
    }

    /// The request of a record.
    fn recorded(&self, tasks: &Tasks) -> Result<Asked, Exit> {
        let misused = |fault: String| console::misused(&fault);
        let record = self.found().map_err(misused)?;
        let overrides = Overrides { without_secrets: true, ..Overrides::default() };
        let compiled = self.compile(tasks, &overrides)?;
        let rebuilt = rebuild(&record, &compiled.snapshot).map_err(misused)?;
        let told = record.decision.as_deref().and_then(|word| {
            let answers = Answer::value_variants().iter();
            answers.copied().find(|answer| answer.decision().as_str() == word)
        });
        let Rebuilt { method, target, headers, body, claims, assumed } = rebuilt;
        Ok(Asked {
            head: head_of(method, &target, headers),
            body: body.into(),
            claims,
            // The embedded PDP can say why; of Altinn's the record has what it said.
            answer: self.pdp.or(told.filter(|_| !self.live && compiled.embedded.is_none())),
            recorded: Some(word(record.code.as_deref())),
            assumed,
        })
    }

    fn found(&self) -> Result<Recorded, String> {
        let (Some(id), Some(log)) = (&self.record, &self.log) else {
            return Err("`--record` and `--log` go together".to_owned());
        };
        let file =
            File::open(log).map_err(|fault| format!("cannot open `{}`: {fault}", log.display()))?;
        // As the refusal's `instance` has it, too.
        let id = id.strip_prefix("urn:uuid:").unwrap_or(id);
        let mut records = Records::new(BufReader::new(file));
        loop {
            let record = records.read().map_err(|fault| format!("`{}`: {fault}", log.display()))?;
            match record {
                Some(record) if record.request_id == id => return Ok(record),
                Some(_) => {}
                None => return Err(format!("`{}` has no record `{id}`", log.display())),
            }
        }
    }

    /// The configuration, with the parts that this run replaces; the head gets its token.
    fn prepare(&self, tasks: &Tasks, asked: &mut Asked) -> Result<Compiled, Exit> {
        let mut overrides = Overrides { without_secrets: !self.live, ..Overrides::default() };
        if let Some(answer) = asked.answer {
            overrides.point = Some(Arc::new(Scripted::always(Ok(answer.decision()))));
        }
        let mut compiled = self.compile(tasks, &overrides)?;
        if asked.answer.is_none()
            && !self.live
            && compiled.snapshot.decisions.source() == DecisionSource::Pdp
        {
            let fault = "the configured PDP is Altinn's: ask it with `--live`, or say with `--pdp` what it would answer";
            return Err(console::misused(&fault));
        }
        let token = match (&self.token, &asked.claims) {
            (Some(path), _) => {
                Some(read(path).map_err(|fault| console::misused(&fault))?.trim().to_owned())
            }
            (None, Some(claims)) => {
                let known = &compiled.snapshot.tokens.settings().issuers;
                let mint = Mint::new(known).map_err(|fault| console::failed(&fault))?;
                let token = mint.token(claims).map_err(|fault| console::failed(&fault))?;
                overrides.issuers = Some(mint.issuers());
                compiled = self.compile(tasks, &overrides)?;
                Some(token)
            }
            (None, None) => None,
        };
        if let Some(token) = token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value =
                value.map_err(|_| console::misused(&"the token cannot stand in a header"))?;
            value.set_sensitive(true);
            asked.head.headers.append(AUTHORIZATION, value);
        }
        Ok(compiled)
    }

    fn compile(&self, tasks: &Tasks, overrides: &Overrides) -> Result<Compiled, Exit> {
        let inputs = Inputs {
            config: self.config.config.clone(),
            files: Files::Disk,
            environment: Environment::of_process(),
            flags: Vec::new(),
            overrides: overrides.clone(),
        };
        let runtime = Runtime { tasks: tasks.clone(), clock: Arc::new(SystemClock) };
        let outcome = config::compile(&inputs, None, &runtime);
        outcome.compiled.ok_or_else(|| {
            console::talk(&outcome.diagnostics.to_human(console::talk_colour()));
            Exit::Usage
        })
    }

    fn head(&self) -> Result<Head, String> {
        let (Some(method), Some(url)) = (&self.method, &self.url) else {
            return Err("give method and URL".to_owned());
        };
        let (host, target) = match url.split_once("://") {
            Some((_, rest)) => {
                let at = rest.find(['/', '?']).unwrap_or(rest.len());
                let (host, target) = rest.split_at(at);
                (
                    host.to_owned(),
                    if target.starts_with('/') { target.to_owned() } else { format!("/{target}") },
                )
            }
            None => ("localhost".to_owned(), url.clone()),
        };
        let mut headers = HeaderMap::new();
        for line in &self.headers {
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("`{line}` is not `Name: value`"))?;
            let name: HeaderName =
                name.trim().parse().map_err(|_| format!("`{name}` is not a header name"))?;
            let value = HeaderValue::from_str(value.trim())
                .map_err(|_| format!("`{name}` has a value that no header has"))?;
            headers.append(name, value);
        }
        if !headers.contains_key(HOST) {
            let host =
                HeaderValue::from_str(&host).map_err(|_| format!("`{host}` is not a host"))?;
            headers.insert(HOST, host);
        }
        Ok(head_of(method.clone(), &target, headers))
    }

    fn body(&self) -> Result<Bytes, String> {
        match &self.data {
            None => Ok(Bytes::new()),
            Some(data) => match data.strip_prefix('@') {
                Some(path) => std::fs::read(path)
                    .map(Bytes::from)
                    .map_err(|fault| format!("cannot read `{path}`: {fault}")),
                None => Ok(Bytes::copy_from_slice(data.as_bytes())),
            },
        }
    }
}

impl Answer {
    fn decision(self) -> Decision {
        match self {
            Self::Permit => Decision::Permit(Obligations::default()),
            Self::Deny => Decision::Deny,
            Self::NotApplicable => Decision::NotApplicable,
            Self::Indeterminate => Decision::Indeterminate(Indeterminate::ProcessingError),
        }
    }
}

fn read(path: &PathBuf) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|fault| format!("cannot read `{}`: {fault}", path.display()))
}

/// The head of a request as it would come over HTTP/1.1.
fn head_of(method: Method, target: &str, headers: HeaderMap) -> Head {
    Head {
        framing: Ok(()),
        target: RequestTarget::parse(target, usize::MAX),
        version: Version::HTTP_11,
        upgrade: Upgrade::asked(&method, Version::HTTP_11, &headers),
        method,
        headers,
    }
}

/// An outcome in a word.
fn word(code: Option<&str>) -> String {
    code.map_or_else(|| "permitted".to_owned(), |code| format!("`{code}`"))
}

/// What the record says beside what was found now.
fn beside_record(recorded: &str, verdict: &Result<Permit, Denial>) -> String {
    let now = word(verdict.as_ref().err().map(|denial| denial.code.as_str()));
    if recorded == now {
        format!("the record says the same: {now}")
    } else {
        format!("the record says {recorded}, and this {now}")
    }
}

/// What becomes of a request whose rule is in shadow.
const IN_SHADOW: &str = "in shadow, so none of this has an effect: the request is forwarded, with the token and without headers of who calls";

/// What to say of a refusal by a PDP that gives no reasons.
fn silent_refusal(journey: &Journey, verdict: &Result<Permit, Denial>) -> Option<&'static str> {
    let refused_by_pdp = verdict.is_err() && journey.decision().is_some_and(|one| one != "Permit");
    refused_by_pdp.then_some(
        "Altinn does not say why. The embedded PDP does: ask it with the same policies and a \
         directory like Altinn's",
    )
}
