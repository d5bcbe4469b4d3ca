//! A token that is good now, for whoever sends requests.

use std::time::Duration;

use rat_types::Secret;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Error, Login, Provider, Store};

/// How long a provider that was away is left alone while the token is still good.
const PAUSE: Duration = Duration::from_secs(10);

/// The login of this process, which is renewed when it is about to end: by one process at a time,
/// and within it by one request.
#[derive(Debug)]
pub struct Session {
    store: Store,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    login: Login,
    failed: Option<Instant>,
}

impl Session {
    /// The login that is kept in `store`, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(store: Store) -> Result<Option<Self>, Error> {
        let login = store.read()?;
        Ok(login.map(|login| Self {
            store,
            current: Mutex::new(Current {
                login,
                failed: None,
            }),
        }))
    }

    /// What a request carries.
    ///
    /// # Errors
    /// The login has ended, or the provider is away while a new token is needed.
    pub async fn token(&self) -> Result<Secret, Error> {
        let mut current = self.current.lock().await;
        if !current.login.is_fresh() {
            self.renew(&mut current).await?;
        }
        Ok(current.login.access_token.clone())
    }

    /// Whatever goes wrong does not matter as long as the old token is good.
    async fn renew(&self, current: &mut Current) -> Result<(), Error> {
        let is_left_alone = current.failed.is_some_and(|at| at.elapsed() < PAUSE);
        if is_left_alone && current.login.is_good() {
            return Ok(());
        }
        match self.replace().await {
            Ok(login) => {
                current.login = login;
                current.failed = None;
                Ok(())
            }
            Err(error) if current.login.is_good() => {
                tracing::debug!(%error, "the login could not be renewed yet");
                current.failed = Some(Instant::now());
                Ok(())
            }
            // RFC 6749, 5.2; anything else may pass.
            Err(Error::Refused(reason)) if reason.starts_with("invalid_grant") => {
                Err(self.ended(&reason))
            }
            Err(error) => Err(error),
        }
    }

    /// A login that is fresh: by somebody else who was faster, or by the provider.
    async fn replace(&self) -> Result<Login, Error> {
        let lock = self.store.lock().await?;
        let kept = self.store.read()?;
        let kept = kept.ok_or_else(|| self.ended("somebody has logged out"))?;
        if kept.is_fresh() {
            return Ok(kept);
        }
        let login = self.refresh(&kept).await?;
        lock.write(&login)?;
        tracing::debug!("the login is renewed");
        Ok(login)
    }

    async fn refresh(&self, login: &Login) -> Result<Login, Error> {
        let Some(token) = &login.refresh_token else {
            return Err(self.ended("the provider gave nothing to renew it with"));
        };
        let provider = Provider::discover(&login.terms).await?;
        let granted = provider.refresh(token).await?;
        let (server, terms) = (login.server.clone(), login.terms.clone());
        Ok(Login::new(server, terms, granted, Some(login)))
    }

    fn ended(&self, reason: &str) -> Error {
        Error::Ended {
            server: self.store.server().to_owned(),
            reason: reason.to_owned(),
        }
    }
}
