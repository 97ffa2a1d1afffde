//! Passwords: Argon2id with what OWASP's Password Storage Cheat Sheet asks for, a few at a time.

use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

/// Memory of one hash.
const MEMORY_KIB: u32 = 19_456;
/// Times that it is gone through.
const PASSES: u32 = 2;
/// Of a salt.
const SALT_BYTES: usize = 16;
/// Each holds 19 MiB and a processor.
const HASHES_AT_ONCE_MAX: usize = 4;
/// People have gone by then.
const HASH_WAIT_MAX: Duration = Duration::from_secs(10);

/// Hashes passwords and compares them.
#[derive(Debug)]
pub(crate) struct Passwords(Semaphore);

/// Why there is no hash.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("too many people log in at once")]
    Busy,
    #[error("a password could not be hashed")]
    Failed,
}

impl Default for Passwords {
    fn default() -> Self {
        Self(Semaphore::new(HASHES_AT_ONCE_MAX))
    }
}

impl Passwords {
    /// With a salt of its own.
    pub(crate) async fn hashed(&self, password: String) -> Result<String, PasswordError> {
        self.alone(move || {
            let mut salt = [0; SALT_BYTES];
            SystemRandom::new().fill(&mut salt).map_err(|_| PasswordError::Failed)?;
            hash(&password, &salt)
        })
        .await
    }

    /// Whether this is the password. Without a hash, of somebody who is not known, it takes as long
    /// and is not.
    pub(crate) async fn fits(
        &self,
        password: String,
        known: Option<String>,
    ) -> Result<bool, PasswordError> {
        self.alone(move || match known {
            Some(known) => {
                let known = PasswordHash::new(&known).map_err(|_| PasswordError::Failed)?;
                Ok(argon2()?.verify_password(password.as_bytes(), &known).is_ok())
            }
            None => hash(&password, &[0; SALT_BYTES]).map(|_| false),
        })
        .await
    }

    async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = tokio::time::timeout(HASH_WAIT_MAX, self.0.acquire()).await;
        let _turn = turn.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Failed)?
    }
}

fn hash(password: &str, salt: &[u8]) -> Result<String, PasswordError> {
    let salt = SaltString::encode_b64(salt).map_err(|_| PasswordError::Failed)?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|_| PasswordError::Failed)?.to_string())
}

fn argon2() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None).map_err(|_| PasswordError::Failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_and_no_other() {
        let passwords = Passwords::default();
        let hash = passwords.hashed("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let fits = async |password: &str, hash: Option<&String>| {
            passwords.fits(password.to_owned(), hash.cloned()).await.unwrap()
        };
        assert!(fits("correct horse", Some(&hash)).await);
        assert!(!fits("correct house", Some(&hash)).await);
        assert!(!fits("correct horse", None).await);
        assert_ne!(passwords.hashed("correct horse".to_owned()).await.unwrap(), hash);
    }
}
