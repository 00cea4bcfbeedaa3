//! The resources and prompts of an engine with their types erased.

use std::{collections::HashMap, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use shared::mcp::{
    prompts::{GetPromptResult, Prompt as ListedPrompt, PromptArgument},
    resources::{Resource as ListedResource, ResourceTemplate as ListedTemplate},
};

use super::{
    BuildError,
    context::RequestContext,
    prompt::{Prompt, PromptArguments, PromptDefinition},
    resource::{Parts, Resource, ResourceDefinition, ResourceTemplate, Typing, Variables},
    template::Template,
    tool::ToolError,
};
use crate::identity::Principal;

/// Something that is being worked on.
pub(super) type Working<T> = BoxFuture<'static, Result<T, ToolError>>;

/// A resource whose type is not known here.
pub(super) trait ErasedResource: Send + Sync {
    fn read(self: Arc<Self>, context: RequestContext) -> Working<Parts>;
    fn fingerprint(self: Arc<Self>, principal: Principal) -> Working<String>;
}

impl<R: Resource> ErasedResource for R {
    fn read(self: Arc<Self>, context: RequestContext) -> Working<Parts> {
        async move { Resource::read(&*self, context).await }.boxed()
    }

    fn fingerprint(self: Arc<Self>, principal: Principal) -> Working<String> {
        async move { Resource::fingerprint(&*self, &principal).await }.boxed()
    }
}

/// A family of resources whose type is not known here.
pub(super) trait ErasedTemplate: Send + Sync {
    fn read(self: Arc<Self>, context: RequestContext, variables: Variables) -> Working<Option<Parts>>;
    fn members(self: Arc<Self>, principal: Principal) -> Working<Vec<ListedResource>>;
    fn complete(self: Arc<Self>, principal: Principal, typing: Typing) -> Working<Vec<String>>;
}

impl<R: ResourceTemplate> ErasedTemplate for R {
    fn read(self: Arc<Self>, context: RequestContext, variables: Variables) -> Working<Option<Parts>> {
        async move { ResourceTemplate::read(&*self, context, variables).await }.boxed()
    }

    fn members(self: Arc<Self>, principal: Principal) -> Working<Vec<ListedResource>> {
        async move { ResourceTemplate::members(&*self, &principal).await }.boxed()
    }

    fn complete(self: Arc<Self>, principal: Principal, typing: Typing) -> Working<Vec<String>> {
        async move { ResourceTemplate::complete(&*self, &principal, typing).await }.boxed()
    }
}

/// A prompt whose type is not known here.
pub(super) trait ErasedPrompt: Send + Sync {
    fn messages(
        self: Arc<Self>,
        context: RequestContext,
        arguments: PromptArguments,
    ) -> Working<GetPromptResult>;
    fn complete(self: Arc<Self>, principal: Principal, typing: Typing) -> Working<Vec<String>>;
}

impl<P: Prompt> ErasedPrompt for P {
    fn messages(
        self: Arc<Self>,
        context: RequestContext,
        arguments: PromptArguments,
    ) -> Working<GetPromptResult> {
        async move { Prompt::messages(&*self, context, arguments).await }.boxed()
    }

    fn complete(self: Arc<Self>, principal: Principal, typing: Typing) -> Working<Vec<String>> {
        async move { Prompt::complete(&*self, &principal, typing).await }.boxed()
    }
}

/// A resource and what is said of it.
pub(super) struct ShelvedResource {
    pub(super) definition: ResourceDefinition,
    pub(super) resource: Arc<dyn ErasedResource>,
    pub(super) is_watched: bool,
}

/// A family of resources and what is said of it.
pub(super) struct ShelvedTemplate {
    pub(super) definition: ResourceDefinition,
    pub(super) template: Template,
    pub(super) family: Arc<dyn ErasedTemplate>,
}

/// A prompt and what is said of it.
pub(super) struct ShelvedPrompt {
    pub(super) definition: PromptDefinition,
    pub(super) prompt: Arc<dyn ErasedPrompt>,
}

/// The resources and prompts of an engine, in the order in which they were added.
#[derive(Default)]
pub(super) struct Library {
    pub(super) resources: Vec<ShelvedResource>,
    pub(super) templates: Vec<ShelvedTemplate>,
    pub(super) prompts: Vec<ShelvedPrompt>,
    names: HashMap<(&'static str, &'static str), ()>,
}

impl Library {
    pub(super) fn add_resource<R: Resource>(&mut self, resource: R) -> Result<(), BuildError> {
        let definition = R::DEFINITION;
        self.name("resource", definition.uri)?;
        let resource = Arc::new(resource);
        self.resources.push(ShelvedResource { definition, resource, is_watched: R::WATCHED });
        Ok(())
    }

    pub(super) fn add_template<R: ResourceTemplate>(&mut self, family: R) -> Result<(), BuildError> {
        let definition = R::DEFINITION;
        self.name("template", definition.uri)?;
        let template = Template::parse(definition.uri).ok_or(BuildError::NotATemplate(definition.uri))?;
        self.templates.push(ShelvedTemplate { definition, template, family: Arc::new(family) });
        Ok(())
    }

    pub(super) fn add_prompt<P: Prompt>(&mut self, prompt: P) -> Result<(), BuildError> {
        let definition = P::DEFINITION;
        self.name("prompt", definition.name)?;
        self.prompts.push(ShelvedPrompt { definition, prompt: Arc::new(prompt) });
        Ok(())
    }

    fn name(&mut self, kind: &'static str, name: &'static str) -> Result<(), BuildError> {
        match self.names.insert((kind, name), ()) {
            None => Ok(()),
            Some(()) => Err(BuildError::Duplicate { kind, name }),
        }
    }

    /// The resource of this URI that the principal may read.
    pub(super) fn resource(&self, principal: &Principal, uri: &str) -> Option<&ShelvedResource> {
        let found = self.resources.iter().find(|one| one.definition.uri == uri)?;
        principal.authorize(found.definition.permission).ok().map(|()| found)
    }

    /// The family that this URI belongs to and that the principal may read, and its variables.
    pub(super) fn family(&self, principal: &Principal, uri: &str) -> Option<(&ShelvedTemplate, Variables)> {
        self.templates.iter().find_map(|one| {
            let variables = one.template.matches(uri)?;
            principal.authorize(one.definition.permission).ok().map(|()| (one, variables))
        })
    }

    /// The prompt of this name that the principal may get.
    pub(super) fn prompt(&self, principal: &Principal, name: &str) -> Option<&ShelvedPrompt> {
        let found = self.prompts.iter().find(|one| one.definition.name == name)?;
        principal.authorize(found.definition.permission).ok().map(|()| found)
    }

    pub(super) fn can_complete(&self) -> bool {
        !self.templates.is_empty() || !self.prompts.is_empty()
    }

    pub(super) fn is_watched(&self) -> bool {
        self.resources.iter().any(|one| one.is_watched)
    }

    pub(super) fn has_resources(&self) -> bool {
        !self.resources.is_empty() || !self.templates.is_empty()
    }
}

impl ShelvedResource {
    pub(super) fn listed(&self) -> ListedResource {
        listed(&self.definition)
    }
}

/// A resource as `resources/list` describes it.
fn listed(definition: &ResourceDefinition) -> ListedResource {
    ListedResource {
        uri: definition.uri.to_owned(),
        name: definition.name.to_owned(),
        title: definition.title.map(str::to_owned),
        description: Some(definition.description.to_owned()),
        mime_type: definition.mime_type.map(str::to_owned),
        size: None,
        annotations: None,
        icons: None,
        meta: None,
    }
}

impl ShelvedTemplate {
    pub(super) fn listed(&self) -> ListedTemplate {
        let definition = &self.definition;
        ListedTemplate {
            uri_template: definition.uri.to_owned(),
            name: definition.name.to_owned(),
            title: definition.title.map(str::to_owned),
            description: Some(definition.description.to_owned()),
            mime_type: definition.mime_type.map(str::to_owned),
            annotations: None,
            icons: None,
            meta: None,
        }
    }
}

impl ShelvedPrompt {
    pub(super) fn listed(&self) -> ListedPrompt {
        let arguments = self.definition.arguments.iter().map(|argument| PromptArgument {
            name: argument.name.to_owned(),
            title: argument.title.map(str::to_owned),
            description: Some(argument.description.to_owned()),
            required: Some(argument.required),
        });
        let arguments: Vec<_> = arguments.collect();
        ListedPrompt {
            name: self.definition.name.to_owned(),
            title: self.definition.title.map(str::to_owned),
            description: Some(self.definition.description.to_owned()),
            arguments: (!arguments.is_empty()).then_some(arguments),
            icons: None,
            meta: None,
        }
    }
}
