//! Who a process in an image runs as, from the image's own `/etc/passwd` and `/etc/group`. Pure. Main item: [`resolve`].
//! Spec: <https://github.com/opencontainers/image-spec/blob/main/config.md> (`User`).

use crate::{RuntimeError, User};

/// The user and groups of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Decides by the pod's word, then the image's (`user`, `user:group`, names or numbers).
pub(crate) fn resolve(wanted: Option<User>, image: &str, passwd: &str, group: &str) -> Result<Resolved, RuntimeError> {
    if let Some(User { uid, gid }) = wanted {
        let entry = find(passwd, &uid.to_string(), true);
        return Ok(resolved(uid, gid.or(entry.as_ref().map(|entry| entry.gid)), entry, group));
    }
    let (user, wanted_group) = image.split_once(':').map_or((image, None), |(user, group)| (user, Some(group)));
    let number: Option<u32> = if user.is_empty() { Some(0) } else { user.parse().ok() };
    let entry = match number {
        Some(uid) => find(passwd, &uid.to_string(), true),
        None => Some(find(passwd, user, false).ok_or_else(|| missing(image, "user", "/etc/passwd"))?),
    };
    let uid = number.or(entry.as_ref().map(|entry| entry.uid)).unwrap_or(0);
    let gid = match wanted_group {
        None => entry.as_ref().map(|entry| entry.gid),
        Some(name) => Some(group_id(group, name).ok_or_else(|| missing(image, "group", "/etc/group"))?),
    };
    Ok(resolved(uid, gid, entry, group))
}

struct Entry {
    name: String,
    uid: u32,
    gid: u32,
}

fn resolved(uid: u32, gid: Option<u32>, entry: Option<Entry>, group: &str) -> Resolved {
    let groups = entry.map(|entry| memberships(group, &entry.name)).unwrap_or_default();
    Resolved { uid, gid: gid.unwrap_or(0), groups }
}

fn missing(image: &str, what: &str, file: &str) -> RuntimeError {
    RuntimeError::Invalid {
        field: "user of the image",
        value: image.to_owned(),
        reason: format!("its {what} is not in the image's {file}; set securityContext.runAsUser"),
    }
}

fn find(passwd: &str, wanted: &str, by_uid: bool) -> Option<Entry> {
    let entries = passwd.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (name, uid, gid) = (fields.first()?, fields.get(2)?, fields.get(3)?);
        Some(Entry { name: (*name).to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    });
    let mut entries =
        entries.filter(|entry| if by_uid { entry.uid.to_string() == wanted } else { entry.name == wanted });
    entries.next()
}

fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, id, members) = (fields.next()?, fields.nth(1)?, fields.next().unwrap_or(""));
        Some((name, id.parse().ok()?, members))
    })
}

fn group_id(group: &str, wanted: &str) -> Option<u32> {
    wanted.parse().ok().or_else(|| groups(group).find(|(name, ..)| *name == wanted).map(|(_, id, _)| id))
}

fn memberships(group: &str, user: &str) -> Vec<u32> {
    groups(group).filter(|(.., members)| members.split(',').any(|member| member == user)).map(|(_, id, _)| id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:44:\nlogs:x:7:web,other\n";

    fn check(wanted: Option<User>, image: &str, expect: Option<(u32, u32, &[u32])>) {
        let found = resolve(wanted, image, PASSWD, GROUP).ok();
        let expect = expect.map(|(uid, gid, groups)| Resolved { uid, gid, groups: groups.to_vec() });
        assert_eq!(found, expect, "{wanted:?} {image}");
    }

    #[test]
    fn users_are_found() {
        check(None, "", Some((0, 0, &[])));
        check(None, "web", Some((33, 44, &[7])));
        check(None, "33", Some((33, 44, &[7])));
        check(None, "web:logs", Some((33, 7, &[7])));
        check(None, "1000", Some((1000, 0, &[])));
        check(None, "1000:1001", Some((1000, 1001, &[])));
        check(None, "nobody", None);
        check(None, "web:nobody", None);
    }

    #[test]
    fn the_pod_decides_over_the_image() {
        check(Some(User { uid: 33, gid: None }), "root", Some((33, 44, &[7])));
        check(Some(User { uid: 5, gid: Some(6) }), "web", Some((5, 6, &[])));
    }
}
