//! Accounts: made once, logged into, looked at and changed by whose they are.
//!
//! Whoever makes the same account again, with its password, is told of it as it is: an answer that
//! got lost on its way costs nobody their account.

use serde::{Deserialize, Serialize};

use super::password::PasswordError;
use super::token::{Claims, token};
use super::{Auth, now_unix_s};
use crate::shop::Shop;
use crate::store::{Lease, Row, Statement, StoreError, Value};
use crate::visit::Visit;

/// What everybody is who makes an account.
const ROLE: &str = "customer";
/// Characters of an address (RFC 5321, 4.5.3.1.3).
const EMAIL_MAX_CHARS: usize = 254;
/// Of a name, a line about oneself, and the address of a picture.
const TEXT_MAX_CHARS: usize = 200;
/// NIST SP 800-63B, 5.1.1.2: at least eight, and no sensible one is refused for its length.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=200;

/// The body of `POST /users`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccount {
    email: String,
    password: String,
    username: String,
}

/// The body of `POST /users/login`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    email: String,
    password: String,
}

/// The body of `PUT /user`: what is not there stays as it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// It can be said and not changed: orders belong to it.
    email: Option<String>,
    password: Option<String>,
    bio: Option<String>,
    image: Option<String>,
}

/// An account as its owner sees it.
#[derive(Debug, Serialize)]
pub(crate) struct Account {
    email: String,
    username: String,
    bio: Option<String>,
    image: Option<String>,
    token: String,
}

/// Why not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("{0}")]
    Nonsense(&'static str),
    #[error("the address or the name belongs to somebody else")]
    Taken,
    #[error("no account with this address and this password")]
    Unknown,
    #[error("the shop's key is not among the published ones: nobody would believe its tokens")]
    NoKey,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row of the table.
struct Kept {
    email: String,
    username: String,
    hash: String,
    role: String,
    bio: Option<String>,
    image: Option<String>,
}

impl Auth {
    /// Makes an account; whether it was made by this request.
    pub(crate) async fn register(
        &self,
        shop: &Shop,
        visit: &Visit,
        new: NewAccount,
    ) -> Result<(bool, Account), AccountError> {
        new.check()?;
        let hash = self.passwords.hashed(new.password.clone()).await?;
        let with =
            [&new.email, &new.username, &hash, ROLE].map(|text: &str| Value::Text(text.to_owned()));
        let mut lease = shop.pool.lease(visit).await?;
        let made = lease.run(Statement::InsertAccount, &with).await?.count == 1;
        let kept = kept(&mut lease, &new.email).await?.ok_or(AccountError::Taken)?;
        // No connection is held while a password is compared.
        drop(lease);
        let mine = made
            || (kept.username == new.username
                && self.passwords.fits(new.password, Some(kept.hash.clone())).await?);
        if mine { Ok((made, self.shown(kept)?)) } else { Err(AccountError::Taken) }
    }

    /// Gives a token to whoever knows the password.
    pub(crate) async fn login(
        &self,
        shop: &Shop,
        visit: &Visit,
        login: Login,
    ) -> Result<Account, AccountError> {
        let found = kept(&mut shop.pool.lease(visit).await?, &login.email).await?;
        let hash = found.as_ref().map(|kept| kept.hash.clone());
        let fits = self.passwords.fits(login.password, hash).await?;
        let kept = found.filter(|_| fits).ok_or(AccountError::Unknown)?;
        self.shown(kept)
    }

    /// One's own account.
    pub(crate) async fn current(
        &self,
        shop: &Shop,
        visit: &Visit,
        who: &Claims,
    ) -> Result<Account, AccountError> {
        let found = kept(&mut shop.pool.lease(visit).await?, &who.sub).await?;
        self.shown(found.ok_or(AccountError::Unknown)?)
    }

    /// Changes one's own account.
    pub(crate) async fn update(
        &self,
        shop: &Shop,
        visit: &Visit,
        who: &Claims,
        change: Change,
    ) -> Result<Account, AccountError> {
        change.check(who)?;
        let hash = match change.password {
            Some(password) => Some(self.passwords.hashed(password).await?),
            None => None,
        };
        let mut lease = shop.pool.lease(visit).await?;
        let before = kept(&mut lease, &who.sub).await?.ok_or(AccountError::Unknown)?;
        let after = Kept {
            hash: hash.unwrap_or(before.hash),
            bio: change.bio.or(before.bio),
            image: change.image.or(before.image),
            ..before
        };
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        let with = [
            Value::Text(after.hash.clone()),
            text(&after.bio),
            text(&after.image),
            Value::Text(after.email.clone()),
        ];
        let written = lease.run(Statement::UpdateAccount, &with).await?.count;
        if written == 1 { self.shown(after) } else { Err(AccountError::Unknown) }
    }

    /// With a token that has just been made.
    fn shown(&self, kept: Kept) -> Result<Account, AccountError> {
        let published = self.keys.now().is_ok_and(|keys| keys.has(self.signing.kid()));
        if !published {
            return Err(AccountError::NoKey);
        }
        let Kept { email, username, role, bio, image, hash: _ } = kept;
        let token = token(&self.signing, &Claims::fresh(&email, &role, now_unix_s()));
        Ok(Account { email, username, bio, image, token })
    }
}

async fn kept(lease: &mut Lease, email: &str) -> Result<Option<Kept>, AccountError> {
    let with = [Value::Text(email.to_owned())];
    let found = lease.run(Statement::Account, &with).await?;
    let optional = |row: &Row, column| match row.is_null(column) {
        true => Ok(None),
        false => row.text(column).map(Some),
    };
    let Some(row) = found.rows.first() else { return Ok(None) };
    Ok(Some(Kept {
        email: row.text(0)?,
        username: row.text(1)?,
        hash: row.text(2)?,
        role: row.text(3)?,
        bio: optional(row, 4)?,
        image: optional(row, 5)?,
    }))
}

impl NewAccount {
    fn check(&self) -> Result<(), AccountError> {
        let (name, domain) = self.email.split_once('@').unwrap_or_default();
        if name.is_empty() || domain.is_empty() || self.email.chars().count() > EMAIL_MAX_CHARS {
            return Err(AccountError::Nonsense("an email address is name@domain"));
        }
        if self.username.is_empty() || self.username.chars().count() > TEXT_MAX_CHARS {
            return Err(AccountError::Nonsense("a username has 1 to 200 characters"));
        }
        strong(&self.password)
    }
}

impl Change {
    fn check(&self, who: &Claims) -> Result<(), AccountError> {
        if self.email.as_ref().is_some_and(|email| *email != who.sub) {
            return Err(AccountError::Nonsense("an email address stays as it is"));
        }
        for text in [&self.bio, &self.image].into_iter().flatten() {
            if text.chars().count() > TEXT_MAX_CHARS {
                return Err(AccountError::Nonsense("bio and image have at most 200 characters"));
            }
        }
        self.password.as_deref().map_or(Ok(()), strong)
    }
}

fn strong(password: &str) -> Result<(), AccountError> {
    if PASSWORD_CHARS.contains(&password.chars().count()) {
        return Ok(());
    }
    Err(AccountError::Nonsense("a password has 8 to 200 characters"))
}
