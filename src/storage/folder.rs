//! A folder that is listed file by file: one with an odd name hides no other.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path as FilePath, PathBuf};

use object_store::path::PathPart;

use super::{Entry, Path};

/// The objects below a folder, however deep. What has a name that no object can have is left out.
pub(super) fn list(root: &FilePath, folder: &Path) -> io::Result<Vec<Entry>> {
    let (mut found, mut unread) = (Vec::new(), vec![folder.clone()]);
    while let Some(folder) = unread.pop() {
        for (path, entry) in read(root, &folder)? {
            let Some(meta) = there(fs::metadata(entry.path()))? else { continue };
            if meta.is_dir() {
                unread.push(path);
            } else if meta.is_file() && !is_half_written(&path) {
                found.push(Entry { path, bytes: meta.len(), modified: meta.modified()? });
            }
        }
    }
    Ok(found)
}

/// The folders in a folder.
pub(super) fn folders(root: &FilePath, folder: &Path) -> io::Result<Vec<Path>> {
    let mut found = Vec::new();
    for (path, entry) in read(root, folder)? {
        let meta = there(fs::metadata(entry.path()))?;
        found.extend(meta.filter(fs::Metadata::is_dir).map(|_| path));
    }
    found.sort();
    Ok(found)
}

/// What is in a folder, and its place in the store.
fn read(root: &FilePath, folder: &Path) -> io::Result<Vec<(Path, DirEntry)>> {
    let mut on_disk = PathBuf::from(root);
    on_disk.extend(folder.parts().map(|part| part.as_ref().to_owned()));
    let mut found = Vec::new();
    for entry in there(fs::read_dir(on_disk))?.into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(part) = name.to_str().and_then(|name| PathPart::parse(name).ok()) {
            found.push((folder.clone().join(part), entry));
        }
    }
    Ok(found)
}

/// Whether it is what a killed process had begun to write.
fn is_half_written(path: &Path) -> bool {
    let number = path.filename().and_then(|name| name.split_once('#')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn there<T>(got: io::Result<T>) -> io::Result<Option<T>> {
    match got {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_file_with_an_odd_name_hides_no_other() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        for name in
            [&b"cam/a-1/v0/0.m4s"[..], b"cam/a-1/v0/1.m4s#1", b"odd\xff/a-1/x", b"new\nline/x"]
        {
            let file = root.path().join(OsStr::from_bytes(name));
            fs::create_dir_all(file.parent().unwrap_or(&file))?;
            fs::write(file, b"media")?;
        }
        std::os::unix::fs::symlink("nowhere", root.path().join("broken"))?;
        assert_eq!(folders(root.path(), &Path::default())?, [Path::from("cam")]);
        assert_eq!(folders(root.path(), &Path::from("cam"))?, [Path::from("cam/a-1")]);
        assert_eq!(folders(root.path(), &Path::from("gone"))?, []);
        let listed = list(root.path(), &Path::default())?;
        let paths: Vec<_> = listed.iter().map(|entry| (entry.path.as_ref(), entry.bytes)).collect();
        assert_eq!(paths, [("cam/a-1/v0/0.m4s", 5)]);
        Ok(())
    }
}
