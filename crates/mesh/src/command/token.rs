//! `mesh token create|list|revoke`.

use anyhow::{Result, anyhow, bail};
use membership::token::TokenRecord;

use super::status::{age, table};
use crate::admin::{Request, client};
use crate::cli::{Output, TokenCommand};

/// Carries out a token command.
pub(crate) async fn run(command: TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Create { ttl, once, at } => {
            let line: String = client::ask(&at.data_dir, &Request::CreateToken { ttl_seconds: ttl, once }).await?;
            println!("{line}");
        }
        TokenCommand::List { output, at } => {
            let tokens: Vec<TokenRecord> = client::ask(&at.data_dir, &Request::ListTokens).await?;
            print(&tokens, output)?;
        }
        TokenCommand::Revoke { id, at } => {
            let () = client::ask(&at.data_dir, &Request::RevokeToken { id: id.clone() }).await?;
            println!("token {id} revoked");
        }
    }
    Ok(())
}

fn print(tokens: &[TokenRecord], output: Output) -> Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(tokens)?);
        return Ok(());
    }
    let now = actors::context::unix_now();
    let rows = tokens.iter().map(|token| {
        let state = match &token.used_by {
            Some(name) => format!("used by {name}"),
            None if now >= token.expires => "expired".into(),
            None => format!("expires in {}", age(token.expires - now)),
        };
        vec![token.id.clone(), age(now - token.created), if token.once { "once" } else { "many" }.into(), state]
    });
    println!("{}", table(&["ID", "AGE", "USES", "STATE"], rows));
    Ok(())
}

/// A duration in seconds: a number with the unit s, m, h or d.
pub(crate) fn seconds(text: &str) -> Result<i64> {
    let wrong = || anyhow!("give a duration such as 90s, 30m, 24h or 7d");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => bail!(wrong()),
    };
    let number: i64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        let read = |text| seconds(text).ok();
        assert_eq!([read("90s"), read("30m"), read("24h"), read("7d")], [90, 1800, 86_400, 604_800].map(Some));
        for wrong in ["", "7", "h", "-1h", "0s", "1w", "1.5h", "99999999999999999d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
