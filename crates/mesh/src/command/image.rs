//! `mesh image import|list|remove`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::status::table;
use crate::admin::images::Image;
use crate::admin::{Request, client};
use crate::cli::{At, ImageCommand, Output};

/// How long one archive may take: 20 GiB on a disk of 20 MiB/s.
const IMPORT_LIMIT: Duration = Duration::from_secs(1200);

/// Between two frames of what shows that work goes on.
const TICK: Duration = Duration::from_millis(120);

/// Digits of a digest that people compare.
const SHORT_DIGEST: usize = "sha256:".len() + 12;

/// Carries out an image command.
pub(crate) async fn run(command: ImageCommand) -> Result<()> {
    match command {
        ImageCommand::Import { files, output, at } => {
            let mut images = Vec::new();
            for file in &files {
                images.extend(import(file, &at).await?);
            }
            print(&images, output)
        }
        ImageCommand::List { output, at } => {
            let images: Vec<Image> = client::ask(&at.data_dir, &Request::ListImages).await?;
            print(&images, output)
        }
        ImageCommand::Remove { references, at } => {
            for reference in references {
                let name: String = client::ask(&at.data_dir, &Request::RemoveImage { reference }).await?;
                println!("image {name} removed");
            }
            Ok(())
        }
    }
}

/// The node reads the file itself: it gets the whole path.
async fn import(file: &Path, at: &At) -> Result<Vec<Image>> {
    let path = file.canonicalize().with_context(|| file.display().to_string())?;
    let size = path.metadata().with_context(|| file.display().to_string())?.len();
    let shown = spinner(format!("importing {} ({})", file.display(), HumanBytes(size)));
    let imported = client::ask_for(&at.data_dir, &Request::ImportImages { path }, IMPORT_LIMIT).await;
    shown.finish_and_clear();
    imported.with_context(|| format!("{} was not imported", file.display()))
}

/// Shows at a terminal that work goes on, and since when; elsewhere nothing.
pub(super) fn spinner(message: String) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style).with_message(message);
    bar.enable_steady_tick(TICK);
    bar
}

fn print(images: &[Image], output: Output) -> Result<()> {
    if output == Output::Json {
        println!("{}", serde_json::to_string_pretty(images)?);
        return Ok(());
    }
    let rows = images.iter().map(|image| {
        let digest = image.digest.chars().take(SHORT_DIGEST).collect();
        vec![image.reference.clone(), digest, HumanBytes(image.size_bytes).to_string()]
    });
    println!("{}", table(&["IMAGE", "DIGEST", "SIZE"], rows));
    Ok(())
}
