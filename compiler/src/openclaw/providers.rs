//! The model providers that OpenClaw 2026.9.6 brings along, and where it looks for their keys. Pure.
//!
//! Source: the plugins' manifests in the npm package, `dist/extensions/*/openclaw.plugin.json`; a test compares.

/// A provider that is part of the package.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// The part before the slash in `provider/model`.
    pub name: &'static str,
    /// The plugin that has to be allowed.
    pub plugin: &'static str,
    /// Environment variable of the key.
    pub key_variable: &'static str,
}

const fn provider(name: &'static str, plugin: &'static str, key_variable: &'static str) -> Provider {
    Provider { name, plugin, key_variable }
}

/// Every provider that works with a key. Those that need a login of a person's or a program on the same machine
/// are left out.
pub const PROVIDERS: &[Provider] = &[
    provider("anthropic", "anthropic", "ANTHROPIC_API_KEY"),
    provider("clawrouter", "clawrouter", "CLAWROUTER_API_KEY"),
    provider("google", "google", "GEMINI_API_KEY"),
    provider("google-vertex", "google", "GOOGLE_CLOUD_API_KEY"),
    provider("huggingface", "huggingface", "HF_TOKEN"),
    provider("litellm", "litellm", "LITELLM_API_KEY"),
    provider("microsoft-foundry", "microsoft-foundry", "AZURE_OPENAI_API_KEY"),
    provider("minimax", "minimax", "MINIMAX_API_KEY"),
    provider("nvidia", "nvidia", "NVIDIA_API_KEY"),
    provider("ollama-cloud", "ollama", "OLLAMA_API_KEY"),
    provider("openai", "openai", "OPENAI_API_KEY"),
    provider("opencode-go", "opencode-go", "OPENCODE_API_KEY"),
    provider("openrouter", "openrouter", "OPENROUTER_API_KEY"),
    provider("together", "together", "TOGETHER_API_KEY"),
    provider("xai", "xai", "XAI_API_KEY"),
];

/// The provider of that name, when OpenClaw brings it along.
pub(crate) fn built_in(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.name == name)
}

/// The environment variable of a provider's key: OpenClaw's for its own providers, one made from the name for those
/// that a harness describes.
pub(crate) fn key_variable(name: &str) -> String {
    built_in(name).map_or_else(
        || format!("{}_API_KEY", name.to_ascii_uppercase().replace('-', "_")),
        |provider| provider.key_variable.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_where_openclaw_looks() {
        assert_eq!(key_variable("huggingface"), "HF_TOKEN");
        assert_eq!(key_variable("my-proxy"), "MY_PROXY_API_KEY");
    }
}
