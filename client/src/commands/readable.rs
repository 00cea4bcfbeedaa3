//! Content of messages and resources as a person reads it.

use shared::mcp::{
    content::ContentBlock,
    resources::{ResourceBody, ResourceContents},
};

/// One block of content: its text, or by name what is no text.
pub(super) fn block(block: &ContentBlock) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => format!("[an image, {}]", image.mime_type),
        ContentBlock::Audio(audio) => format!("[a sound, {}]", audio.mime_type),
        ContentBlock::ResourceLink(link) => format!("[{}: {}]", link.name, link.uri),
        ContentBlock::Resource(embedded) => contents(&embedded.resource),
    }
}

/// What is in a resource.
pub(super) fn contents(contents: &ResourceContents) -> String {
    match &contents.body {
        ResourceBody::Text(text) => text.clone(),
        ResourceBody::Blob(_) => "[a resource that is not text]".to_owned(),
    }
}
