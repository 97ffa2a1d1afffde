//! `deadelus token`: a token for the HTTP gateway. It is shown once and kept nowhere; the gateway's file
//! holds its digest, from which nobody makes the token again.

use deadelus_mesh::objects::sha256;
use deadelus_view::time;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

use crate::{
    args::{Role, Token},
    error::CliError,
    exit::Exit,
    term,
};

/// As many as the digest has: guessing one is guessing the other.
const CHANCE_BYTES: usize = 32;

/// What scanners for leaked secrets know it by.
const PREFIX: &str = "dlt_";

const DAY_S: i64 = 24 * 60 * 60;

/// As `-o json` shows it.
#[derive(Serialize)]
struct Made {
    name: String,
    token: String,
    sha256: String,
    roles: Vec<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_unix_s: Option<i64>,
}

pub(crate) fn run(args: &Token) -> Result<Exit, CliError> {
    let mut chance = [0; CHANCE_BYTES];
    let none = |_| CliError::Refused("this system gives no random bytes".to_owned());
    SystemRandom::new().fill(&mut chance).map_err(none)?;
    let made = made(args, chance, time::now_unix_ms().div_euclid(1_000));
    if args.output.is_json() {
        term::say_json(&made)?;
    } else {
        term::say(&text(&made))?;
    }
    Ok(Exit::Done)
}

fn made(args: &Token, chance: [u8; CHANCE_BYTES], now_unix_s: i64) -> Made {
    let digits: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{PREFIX}{digits}");
    let mut roles = if args.roles.is_empty() { vec![Role::Viewer] } else { args.roles.clone() };
    roles.sort();
    roles.dedup();
    let expires_unix_s = args.days.map(|days| now_unix_s + days * DAY_S);
    let sha256 = sha256(token.as_bytes()).to_string();
    Made { name: args.name.clone(), token, sha256, roles, expires_unix_s }
}

fn text(made: &Made) -> String {
    let roles: Vec<&str> = made.roles.iter().map(|role| role.as_str()).collect();
    let expires = made
        .expires_unix_s
        .map(|s| format!("expires_unix_s = {s}   # {}\n", time::moment(s.saturating_mul(1_000))));
    format!(
        "{}\n\nIt is not shown again. For the file of every orchestrator:\n\n[gateway.tokens.{}]\n\
         sha256 = \"{}\"\nroles = [{}]\n{}",
        made.token,
        made.name,
        made.sha256,
        roles.iter().map(|role| format!("\"{role}\"")).collect::<Vec<_>>().join(", "),
        expires.unwrap_or_default(),
    )
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn the_file_knows_the_digest_and_not_the_token() {
        let words = ["deadelus", "token", "ada", "--role", "approver", "--days", "1"];
        let Command::Token(args) = Cli::parse_from(words).command else { panic!("{words:?}") };
        let made = made(&args, [7; CHANCE_BYTES], 0);
        assert_eq!(made.token, format!("dlt_{}", "07".repeat(CHANCE_BYTES)));
        let text = text(&made);
        let (shown, file) = text.split_once("\n\n").unwrap();
        assert_eq!(shown, made.token);
        assert!(!file.contains(&made.token), "{file}");
        let digest = sha256(made.token.as_bytes());
        assert!(file.contains(&format!("sha256 = \"{digest}\"")), "{file}");
        assert!(file.contains("roles = [\"approver\"]\nexpires_unix_s = 86400 "), "{file}");
        for bad in ["", "a.b", "a b", "é"] {
            assert!(Cli::try_parse_from(["deadelus", "token", bad]).is_err(), "{bad:?}");
        }
    }
}
