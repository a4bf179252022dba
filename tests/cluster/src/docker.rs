//! The cluster of `docker-compose.yml` under an engine of the test's own: [`Compose`].
//!
//! The engine is that of Debian's packages; its base image is made from Debian's packages too, so that no registry is needed. Leaves out
//! other engines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{Ended, Program, eventually, mesh};

/// The image that the Dockerfile starts from, for both of its stages.
const BASE: &str = "debian:bookworm-slim";

/// How long the engine may take to answer: it sets up a network first.
const ENGINE_LIMIT: Duration = Duration::from_secs(60);

/// How long making an image may take: packages are fetched.
const BUILD_LIMIT: Duration = Duration::from_secs(240);

/// An engine, and the project in it. Both are gone after drop.
#[derive(Debug)]
pub struct Compose {
    root: TempDir,
    engine: Child,
    project: String,
}

impl Compose {
    /// Starts the engine, and builds the nodes' image from the binary under test.
    ///
    /// # Errors
    /// Where one of the programs is missing or fails.
    pub fn start(project: &str) -> Result<Self> {
        let root = tempfile::Builder::new().prefix("mesh-").tempdir()?;
        let engine = engine(root.path())?;
        let compose = Self { root, engine, project: project.into() };
        eventually("the engine answers", ENGINE_LIMIT, || compose.docker("version").run()?.prints(&[]))?;
        compose.import_base()?;
        compose.build()?;
        Ok(compose)
    }

    /// A command of `docker`.
    pub fn docker(&self, arguments: &str) -> Program {
        self.program("docker", arguments)
    }

    /// Runs a command of `docker-compose` about the project.
    ///
    /// # Errors
    /// Where it fails.
    pub fn run(&self, arguments: &str) -> Result<String> {
        let program = self.program("docker-compose", "--project-name").arg(&self.project).arg("--file");
        let words = arguments.split(' ').fold(program.arg(workspace().join("docker-compose.yml")), Program::arg);
        words.limit(BUILD_LIMIT).run()?.prints(&[])
    }

    /// `mesh chaos <arguments>` about a project of this engine.
    pub fn chaos(&self, project: &str, arguments: &str) -> Program {
        let program = Program::new(mesh(), &format!("chaos {arguments} --compose {project}"));
        program.env("DOCKER_HOST", format!("unix://{}", socket(self.root.path()).display()))
    }

    /// A command within a node's container.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn within(&self, node: &str, arguments: &str) -> Result<Ended> {
        self.docker(&format!("exec {} {arguments}", self.container(node))).run()
    }

    /// The name of a node's container.
    pub fn container(&self, node: &str) -> String {
        format!("{}_{node}_1", self.project)
    }

    /// A folder for the test's own files.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    fn program(&self, name: &str, arguments: &str) -> Program {
        let socket = format!("unix://{}", socket(self.root.path()).display());
        Program::new(Path::new(name), arguments).env("DOCKER_HOST", socket).env("BUILDER", BASE).limit(BUILD_LIMIT)
    }

    fn import_base(&self) -> Result<()> {
        let (folder, tar) = (self.root.path().join("base"), self.root.path().join("base.tar"));
        let made = Program::new(Path::new("debootstrap"), "--variant=minbase bookworm").arg(&folder);
        made.limit(BUILD_LIMIT).run()?.prints(&[])?;
        let packed = Program::new(Path::new("tar"), "-c -C").arg(&folder).arg("-f").arg(&tar).arg(".");
        packed.limit(BUILD_LIMIT).run()?.prints(&[])?;
        self.docker("import").arg(&tar).arg(BASE).run()?.prints(&["sha256:"])?;
        Ok(fs::remove_dir_all(&folder)?)
    }

    fn build(&self) -> Result<()> {
        let (source, place) = (mesh(), workspace().join("target/image/mesh"));
        fs::create_dir_all(place.parent().context("a file has a folder")?)?;
        Program::new(Path::new("strip"), "-o").arg(&place).arg(source).run()?.prints(&[])?;
        let build = self.docker(&format!("build --tag mesh --build-arg BUILDER={BASE}")).arg(workspace());
        build.run()?.prints(&[]).map(drop)
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.run("logs --tail 60").unwrap_or_else(|error| format!("no logs: {error:#}")));
        }
        if let Err(error) = self.run("down --volumes --timeout 10") {
            println!("the project is not down: {error:#}");
        }
        let end = Command::new("kill").arg(self.engine.id().to_string()).status();
        if let Err(error) = end.and_then(|_| self.engine.wait()) {
            println!("the engine did not end: {error}");
        }
    }
}

fn engine(root: &Path) -> Result<Child> {
    let log = fs::File::create(root.join("engine.log"))?;
    let mut command = Command::new("dockerd");
    command.arg("--data-root").arg(root.join("data")).arg("--exec-root").arg(root.join("exec"));
    command.arg("--pidfile").arg(root.join("pid")).arg("--host").arg(format!("unix://{}", socket(root).display()));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context("cannot run dockerd")
}

fn socket(root: &Path) -> PathBuf {
    root.join("docker.sock")
}

fn workspace() -> &'static Path {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    Path::new(FOLDER)
}
