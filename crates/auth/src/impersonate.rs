//! Acting as somebody else: what the `Impersonate-*` headers ask for and which permissions that takes.
//! Main type: [`Impersonation`]. Spec: <https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/>.

use std::collections::BTreeMap;

use crate::{Attributes, Authorizer, User, user};

/// Values one request may ask for; more is refused unread. Each costs an authorization.
pub const VALUES_MAX: usize = 512;

/// API group of users' uids and extras.
const AUTHENTICATION: &str = "authentication.k8s.io";

const EXTRA: &str = "impersonate-extra-";

/// Whom a request asks to act as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Impersonation {
    user: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

/// Why a request may not act as somebody else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpersonationError {
    /// 500 upstream, as the request makes no sense.
    #[error("requested {0} without impersonating a user")]
    NoUser(String),
    /// 400: too much asked for.
    #[error("{0} values to impersonate, at most {VALUES_MAX} are allowed")]
    TooMany(usize),
    /// 403: the message, and what it is about.
    #[error("{message}")]
    Forbidden {
        /// API group of what may not be impersonated.
        group: String,
        /// `users`, `groups`, `serviceaccounts`, `uids` or `userextras`.
        resource: String,
        /// Its name.
        name: String,
        /// For the user.
        message: String,
    },
}

impl Impersonation {
    /// Reads the headers (names in lower case); `None` if nobody is to be impersonated.
    ///
    /// # Errors
    /// [`ImpersonationError::NoUser`] where groups, uid or extras come without a user.
    pub fn from_headers<'a>(
        headers: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, ImpersonationError> {
        let (mut asked, mut count) = (Self::default(), 0);
        for (name, value) in headers {
            count += usize::from(name.starts_with("impersonate-"));
            match name {
                "impersonate-user" => value.clone_into(&mut asked.user),
                "impersonate-uid" => value.clone_into(&mut asked.uid),
                "impersonate-group" => asked.groups.push(value.to_owned()),
                _ => asked.add_extra(name, value),
            }
        }
        if count > VALUES_MAX {
            return Err(ImpersonationError::TooMany(count));
        }
        match (asked.user.is_empty(), &asked) {
            (false, _) => Ok(Some(asked)),
            (true, asked) if *asked == Self::default() => Ok(None),
            (true, asked) => Err(ImpersonationError::NoUser(format!("{:?}", asked.groups))),
        }
    }

    /// The user to act as, if `user` may act as all that was asked for.
    ///
    /// # Errors
    /// [`ImpersonationError::Forbidden`] with the first permission that is missing.
    pub fn decide(self, user: &User, authorizer: &dyn Authorizer) -> Result<User, ImpersonationError> {
        let ask =
            |group, resource, sub, namespace, name| check(user, authorizer, group, resource, sub, namespace, name);
        match user::split_service_account(&self.user) {
            Some((namespace, name)) => ask("", "serviceaccounts", "", namespace, name)?,
            None => ask("", "users", "", "", &self.user)?,
        }
        for group in &self.groups {
            ask("", "groups", "", "", group)?;
        }
        for (key, value) in self.extra.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value))) {
            ask(AUTHENTICATION, "userextras", key, "", value)?;
        }
        if !self.uid.is_empty() {
            ask(AUTHENTICATION, "uids", "", "", &self.uid)?;
        }
        Ok(self.into_user())
    }

    fn add_extra(&mut self, header: &str, value: &str) {
        if let Some(key) = header.strip_prefix(EXTRA) {
            self.extra.entry(unescape(key)).or_default().push(value.to_owned());
        }
    }

    fn into_user(self) -> User {
        let mut groups = self.groups;
        if let Some((namespace, _)) = user::split_service_account(&self.user).filter(|_| groups.is_empty()) {
            groups = vec![user::SERVICE_ACCOUNTS.to_owned(), format!("{}:{namespace}", user::SERVICE_ACCOUNTS)];
        }
        if self.user == user::ANONYMOUS && groups.is_empty() {
            groups.push(user::UNAUTHENTICATED.to_owned());
        }
        let mut user = User { name: self.user, uid: self.uid, groups, extra: self.extra };
        user.authenticated();
        user
    }
}

fn check(
    user: &User,
    authorizer: &dyn Authorizer,
    group: &str,
    resource: &str,
    subresource: &str,
    namespace: &str,
    name: &str,
) -> Result<(), ImpersonationError> {
    let request =
        Attributes { subresource, ..Attributes::resource(user, "impersonate", group, resource, namespace, name) };
    let answer = authorizer.authorize(&request);
    if answer.is_allowed() {
        return Ok(());
    }
    let own = |text: &str| text.to_owned();
    let message = answer.message(&request);
    Err(ImpersonationError::Forbidden { group: own(group), resource: own(resource), name: own(name), message })
}

/// Percent-decoding of a header's name; what is no valid encoding stays as it is.
fn unescape(key: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(key.len()), key.as_bytes());
    while let [first, after @ ..] = rest {
        let code = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(code.map_or(*first, |(high, low)| high * 16 + low));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Masters;

    fn check(headers: &[(&str, &str)], as_user: &User, expect: Result<&str, &str>) {
        let asked = Impersonation::from_headers(headers.iter().copied());
        let got = asked.and_then(|asked| asked.expect("asked").decide(as_user, &Masters));
        match (got, expect) {
            (Ok(user), Ok(expect)) => assert_eq!(format!("{} {:?}", user.name, user.groups), expect),
            (Err(error), Err(expect)) => assert_eq!(error.to_string(), expect),
            (got, expect) => panic!("{got:?} is not {expect:?}"),
        }
    }

    #[test]
    fn acts_as_others_only_with_permission() {
        let (root, ann) = (User::new("root", &[user::MASTERS]), User::new("ann", &[]));
        let bob = [("impersonate-user", "bob")];
        check(&bob, &root, Ok(r#"bob ["system:authenticated"]"#));
        check(
            &[("impersonate-user", "system:serviceaccount:a:b")],
            &root,
            Ok(
                r#"system:serviceaccount:a:b ["system:serviceaccounts", "system:serviceaccounts:a", "system:authenticated"]"#,
            ),
        );
        let refused = r#"User "ann" cannot impersonate resource "users" in API group "" at the cluster scope"#;
        check(&bob, &ann, Err(refused));
        check(&[("impersonate-group", "g")], &root, Err(r#"requested ["g"] without impersonating a user"#));
    }

    #[test]
    fn extra_keys_are_percent_decoded() {
        let headers = [("impersonate-user", "bob"), ("impersonate-extra-a%2fb", "v")];
        let asked = Impersonation::from_headers(headers.into_iter()).unwrap().unwrap();
        assert_eq!(asked.extra["a/b"], ["v"]);
    }
}
