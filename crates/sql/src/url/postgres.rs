//! PostgreSQL's URLs.
//!
//! The driver skips parameters that it does not know and takes some values for others. Here that
//! is refused: `sslmod=require` must not become a connection without TLS.

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::{DatabaseUrl, Target, invalid};
use crate::Error;

/// What a URL may say behind its `?`.
const PARAMETERS: [&str; 8] = [
    "application_name",
    "dbname",
    "host",
    "options",
    "password",
    "port",
    // Written by the driver when it shows a URL.
    "statement-cache-capacity",
    "user",
];

const RULE: &str = "write it as postgres://user:password@host:port/name, with special characters \
                    percent-encoded";

const MODES: &str = "sslmode must be disable, prefer, require or verify-full";

pub(super) fn parse(text: &str) -> Result<DatabaseUrl, Error> {
    // The errors of both parsers are left out: they may repeat a part of the URL.
    let url: Url = text.parse().map_err(|_| invalid(RULE))?;
    let tls = Tls::read(&url)?;
    let options: PgConnectOptions = text.parse().map_err(|_| invalid(RULE))?;
    tls.check(options.get_ssl_mode())?;
    let database = options.get_database().unwrap_or(options.get_username());
    let shown = match options.get_socket() {
        Some(socket) => format!("postgres database {database} at {}", socket.display()),
        None => {
            format!(
                "postgres database {database} at {}:{}",
                options.get_host(),
                options.get_port()
            )
        }
    };
    Ok(DatabaseUrl(Target::Postgres {
        options: Box::new(options),
        shown,
        files: tls.files(),
    }))
}

/// The files that the URL names for TLS.
#[derive(Default)]
struct Tls {
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Tls {
    fn read(url: &Url) -> Result<Self, Error> {
        let mut tls = Self::default();
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "sslmode" => mode(&value)?,
                "sslrootcert" => tls.authorities = Some(file(&name, &value)?),
                "sslcert" => tls.certificate = Some(file(&name, &value)?),
                "sslkey" => tls.key = Some(file(&name, &value)?),
                known if PARAMETERS.contains(&known) || known.starts_with("options[") => {}
                // Its value may be a secret.
                unknown => return Err(invalid(format!("there is no parameter {unknown:?}"))),
            }
        }
        Ok(tls)
    }

    /// Refuses what would look like protection and be none, under the mode in effect.
    fn check(&self, mode: PgSslMode) -> Result<(), Error> {
        let (is_encrypted, is_verified) = match mode {
            PgSslMode::Disable | PgSslMode::Prefer => (false, false),
            PgSslMode::Require => (true, false),
            PgSslMode::VerifyFull => (true, true),
            // From the environment, where libpq's PGSSLMODE is the default.
            PgSslMode::Allow | PgSslMode::VerifyCa => return Err(invalid(MODES)),
        };
        if self.authorities.is_some() && !is_verified {
            return Err(invalid("sslrootcert needs sslmode=verify-full"));
        }
        if self.certificate.is_some() != self.key.is_some() {
            return Err(invalid("sslcert and sslkey belong together"));
        }
        if self.certificate.is_some() && !is_encrypted {
            return Err(invalid("sslcert needs sslmode=require or verify-full"));
        }
        Ok(())
    }

    fn files(self) -> Vec<PathBuf> {
        [self.authorities, self.certificate, self.key]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn mode(value: &str) -> Result<(), Error> {
    match value {
        "disable" | "prefer" | "require" | "verify-full" => Ok(()),
        _ => Err(invalid(MODES)),
    }
}

fn file(name: &str, value: &str) -> Result<PathBuf, Error> {
    let path = Path::new(value);
    match path.is_absolute() {
        true => Ok(path.to_owned()),
        false => Err(invalid(format!("{name} must be an absolute path"))),
    }
}

/// Reads the files that TLS needs: the driver's errors do not name them, and it takes a file
/// without a certificate for one that says nothing.
pub(crate) async fn check_files(files: &[PathBuf]) -> Result<(), sqlx::Error> {
    for path in files {
        let fault = match tokio::fs::read_to_string(path).await {
            Ok(text) if text.contains("-----BEGIN ") => continue,
            Ok(_) => "there is nothing in PEM format in it".to_owned(),
            Err(error) => error.to_string(),
        };
        let message = format!("failed to read {}: {fault}", path.display());
        return Err(sqlx::Error::Configuration(message.into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(parameters: &str) -> String {
        let url = format!("postgres://u:hunter2@h/n?{parameters}");
        match url.parse::<DatabaseUrl>() {
            Ok(_) => "accepted".to_owned(),
            Err(error) => {
                assert!(!error.to_string().contains("hunter2"), "{error}");
                error.to_string().replace("invalid database URL: ", "")
            }
        }
    }

    #[test]
    fn tls_is_asked_for_in_four_ways() {
        for good in [
            "sslmode=disable",
            "sslmode=prefer",
            "sslmode=require",
            "sslmode=verify-full",
            "sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem",
            "sslmode=require&sslcert=/etc/rat/db.pem&sslkey=/etc/rat/db.key",
        ] {
            assert_eq!(refusal(good), "accepted", "{good}");
        }
    }

    #[test]
    fn what_looks_like_protection_and_is_none_is_refused() {
        for mode in ["allow", "verify-ca", "required", "REQUIRE", ""] {
            assert_eq!(refusal(&format!("sslmode={mode}")), MODES, "{mode}");
        }
        for (parameters, expected) in [
            ("sslmod=require", r#"there is no parameter "sslmod""#),
            ("ssl-mode=require", r#"there is no parameter "ssl-mode""#),
            ("hostaddr=10.0.0.1", r#"there is no parameter "hostaddr""#),
            (
                "sslmode=require&sslrootcert=/a",
                "sslrootcert needs sslmode=verify-full",
            ),
            ("sslrootcert=/a", "sslrootcert needs sslmode=verify-full"),
            (
                "sslmode=verify-full&sslrootcert=a",
                "sslrootcert must be an absolute path",
            ),
            (
                "sslmode=require&sslcert=/a",
                "sslcert and sslkey belong together",
            ),
            (
                "sslcert=/a&sslkey=/b",
                "sslcert needs sslmode=require or verify-full",
            ),
        ] {
            assert_eq!(refusal(parameters), expected, "{parameters}");
        }
    }
}
