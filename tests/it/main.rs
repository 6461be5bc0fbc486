//! Tests against the real world, linked once.

#![allow(clippy::unwrap_used, reason = "the whole crate is tests")]

mod app;
mod architecture;
mod aws;
mod azure;
mod check_time;
mod ci;
mod cli;
mod conformance;
mod consent;
mod dns;
mod docker;
mod engine;
mod escalation;
mod exec;
mod findings_hostile;
mod fuzz;
mod fuzz_providers;
mod fuzz_readers;
mod going_on;
mod hostile;
mod incident;
mod intake;
mod journal;
mod jwt;
mod kubernetes;
mod language;
mod notify;
mod people;
mod planning;
mod postgres;
mod prometheus;
mod recording;
mod redis;
mod risk;
mod rule_pages;
mod rule_programs;
mod samples;
mod scenarios;
mod shipped;
mod stdlib;
mod storage;
mod support;
mod tls;
mod truncated;
