//! The runbook and the templates of the demo, in the binary: it needs no source tree.

use crate::lab::LabError;
use std::fs;
use std::path::Path;

const FILES: &[(&str, &str)] = &[
    ("runbooks/demo.yml", include_str!("../../../runbooks/demo.yml")),
    ("templates/demo/site.conf.hbs", include_str!("../../../templates/demo/site.conf.hbs")),
    ("templates/demo/npm.env.hbs", include_str!("../../../templates/demo/npm.env.hbs")),
    ("templates/demo/index.html.hbs", include_str!("../../../templates/demo/index.html.hbs")),
];

/// Writes them below a folder.
///
/// # Errors
/// [`LabError::Io`].
pub fn write(home: &Path) -> Result<(), LabError> {
    for (name, text) in FILES {
        let path = home.join(name);
        let dir = path.parent().unwrap_or(home);
        let written = fs::create_dir_all(dir).and_then(|()| fs::write(&path, text));
        written.map_err(LabError::io(format!("writing {}", path.display())))?;
    }
    Ok(())
}
