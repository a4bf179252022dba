//! Files of the node that confine containers (`seccompProfile` of type `Localhost`). Main function: [`seccomp`].
//! Spec: <https://kubernetes.io/docs/tutorials/security/seccomp/>.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use ::kubelet::spec;
use runtime::Seccomp;

use super::volumes::{beneath, mounts::blocking};

/// Bytes of a profile: one that names every system call with its arguments is a tenth of that.
const BYTES_MAX: u64 = 1 << 20;

/// What a container is confined to, with the text of its file.
///
/// # Errors
/// Where there is no such file below `folder`, or it is too long.
pub async fn seccomp(folder: &Path, wanted: &spec::Seccomp) -> Result<Seccomp, String> {
    match wanted {
        spec::Seccomp::Unconfined => Ok(Seccomp::Unconfined),
        spec::Seccomp::RuntimeDefault => Ok(Seccomp::RuntimeDefault),
        spec::Seccomp::Localhost(file) => {
            let (folder, file, name) = (folder.to_owned(), file.clone(), folder.join(file).display().to_string());
            let text = blocking(move || read(&folder, file)).await;
            let text =
                text.map_err(|why| format!("cannot load seccomp profile {}: {why}", api::gotext::quote(&name)))?;
            Ok(Seccomp::Profile { name, text })
        }
    }
}

fn read(folder: &Path, file: PathBuf) -> io::Result<Box<[u8]>> {
    let mut text = Vec::new();
    beneath::open_file(folder, &file)?.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn profiles_are_read_from_their_folder_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("seccomp");
        std::fs::create_dir_all(folder.join("profiles")).unwrap();
        std::fs::write(folder.join("profiles/a.json"), "{}").unwrap();
        std::fs::write(dir.path().join("b.json"), "{}").unwrap();
        std::os::unix::fs::symlink("../b.json", folder.join("b.json")).unwrap();
        std::fs::write(folder.join("long.json"), vec![b' '; 1 + usize::try_from(BYTES_MAX).unwrap()]).unwrap();
        let load = async |file: &str| seccomp(&folder, &spec::Seccomp::Localhost(file.into())).await;
        let found = load("profiles/a.json").await.unwrap();
        assert!(matches!(found, Seccomp::Profile { text, .. } if *text == *b"{}"));
        for bad in ["../b.json", "b.json", "long.json", "profiles", "none.json"] {
            let refused = load(bad).await.unwrap_err();
            let expect = format!("cannot load seccomp profile \"{}\": ", folder.join(bad).display());
            assert!(refused.starts_with(&expect), "{refused}");
        }
    }
}
