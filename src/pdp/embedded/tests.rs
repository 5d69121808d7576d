//! The room through its public face, with the policies and the directory that the project ships.

mod build;
mod build_users;
mod change;
mod fixture;
mod general;
mod instances;
mod reasons;
mod scenarios;
mod users;
mod world;
