//! The names of notify sockets beside the pipes, and removing those that an earlier supervisor left. Never opens one.

use std::path::PathBuf;

use super::pipes::PipeDir;
use crate::ids::RunId;

/// The end of such a socket's name.
const SUFFIX: &str = ".notify";

impl PipeDir {
    /// Where the socket of a run is.
    pub(super) fn notify_path(&self, run: RunId) -> PathBuf {
        self.path_of_name(&format!("{run}{SUFFIX}"))
    }

    /// Removes all: nobody listens there yet, and supervision makes those anew that are wanted.
    pub(super) fn sweep_notify(&self) {
        use std::os::unix::fs::FileTypeExt as _;
        for entry in std::fs::read_dir(self.path_of_name(""))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
            if is_socket && name.ends_with(SUFFIX) {
                self.unlink_name(&name);
            }
        }
    }
}
