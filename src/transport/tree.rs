//! A folder by one `tar`.

use super::TransportError;
use super::channel::Dial;
use super::host::Host;
use crate::modules::PutTree;

impl<D: Dial> Host<D> {
    pub(super) async fn put_folder(&self, tree: &PutTree) -> Result<(), TransportError> {
        let _ = tree;
        Err(TransportError::Refused { why: "todo".into() })
    }
}
