//! The room through its public face, with the policies and the directory that the project ships.

mod build;
mod change;
mod fixture;
mod general;
mod scenarios;
