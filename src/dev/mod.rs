//! What development, demonstration and tests need of the world around Portvakt.
//!
//! | file | holds |
//! |---|---|
//! | `signer`, `claims` | a signing key, and the shapes of published tokens |
//! | `issuer`, `grant`, `issuer_directory` | an issuer that grants tokens as Maskinporten does |
//! | `end_user_system`, `key_folder` | who asks it for them, and where keys and the control token are written |
//! | `pdp_face`, `exchange` | Altinn's HTTP API in front of a PDP, and its exchange of tokens |
//! | `recent` | the latest answers of that PDP and why, by id |
//! | `live_pdp` | the embedded PDP over files that change while it answers |
//! | `pdp_world`, `sample_question` | what `portvakt pdp` runs, and a question to show |
//! | `control` | pages that change the directory, and have the PDP misbehave |
//! | `world`, `sample_api`, `embedded_files` | what `portvakt demo` runs |
//! | `tour`, `rule_tests` | the scenarios played through that world, and the rule tests |
//!
//! Nothing here runs in `serve`. **Invariant:** keys are made at run time and never stored in the project,
//! and nothing here takes the name of a real issuer.

mod claims;
pub mod control;
mod embedded_files;
mod end_user_system;
mod exchange;
mod grant;
mod issuer;
mod issuer_directory;
mod key_folder;
mod live_pdp;
pub mod pdp_face;
mod pdp_world;
mod recent;
mod rule_tests;
mod sample_api;
mod sample_question;
mod signer;
pub mod tour;
mod world;

pub use claims::{Life, delegated, exchanged, organization, person, system_user};
pub use embedded_files::{DEMO_FILES, EmbeddedFile};
pub use end_user_system::{EndUserSystem, NoToken, OnBehalf};
pub use exchange::{Admission, Exchange, NotExchanged, issuer_at};
pub use grant::{GrantFault, Granted, MAX_REMEMBERED_ASSERTIONS};
pub use issuer::{InvalidIssuer, Issuer, MAX_FORM_BYTES, serve};
pub use issuer_directory::{DirectorySystemUser, IssuerClient, IssuerDirectory, SystemUserKind};
pub use key_folder::{write_control_token, write_keys};
pub use live_pdp::{Changes, LivePdp, PdpFiles, Reloaded, Size};
pub use pdp_world::{ControlAt, PdpWorld, PdpWorldFault, PdpWorldSettings, reload_document};
pub use recent::{KeptQuestion, MAX_ANSWERS, Recent};
pub use rule_tests::{Mint, TestOutcome, TestPoint, run_rule_test};
pub use sample_api::{SampleApi, Seen};
pub use sample_question::sample_question;
pub use signer::{SigningFault, SigningKey};
pub use world::{
    Addresses, World, WorldFault, WorldSettings, client_keys, issuer_directory, random_secret,
};
