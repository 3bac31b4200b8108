"""The commands that are served, their options, and those that are known and refused. Data only."""

from __future__ import annotations

from typing import Final

from engine.arguments import FLAG, MANY, VALUE, Command, Option

_STACK: Final = Option("stack", VALUE, "s", "the stack; the selected one otherwise")
_SHOW_SECRETS: Final = Option("show-secrets", FLAG, "", "show secrets in plain text")
_JSON: Final = Option("json", FLAG, "j", "print JSON")
_YES: Final = Option("yes", FLAG, "y", "do not ask")
_CONFIG_FILE: Final = Option("config-file", VALUE, "", "this settings file instead of Pulumi.<stack>.yaml")
_PATH: Final = Option("path", FLAG, "", "the key is a path into a map or a list")

_NO_PLANS: Final = "a refresh changes no objects, so there is nothing to plan"
_NO_POLICY: Final = "policies judge what `up` and `preview` do"
_NO_REMOTE: Final = "there is no remote deployment"
_NO_LOGIN: Final = (
    "the backend is what PULUMI_BACKEND_URL names, else backend.url of Pulumi.yaml, else file://~ (file://<folder> or "
    "postgres://...); no login is needed"
)

COMMON: Final = (
    Option("help", FLAG, "h", "show this"),
    Option("cwd", VALUE, "C", "run as if started in this folder"),
    Option("color", VALUE, "", "always, never, raw or auto"),
    Option("non-interactive", FLAG, "", "never ask"),
    Option("emoji", FLAG, "e", "taken without effect"),
    Option("verbose", VALUE, "v", "taken without effect"),
    Option("logtostderr", FLAG, "", "taken without effect"),
    Option("logflow", FLAG, "", "taken without effect"),
    Option("fully-qualify-stack-names", FLAG, "Q", "show stacks as organization/project/stack"),
    Option("disable-integrity-checking", FLAG, "", "", "a state that is not valid is never worked on"),
    Option("tracing", VALUE, "", "", "there is no tracing"),
    Option("otel-traces", VALUE, "", "", "there is no tracing"),
    Option("profiling", VALUE, "", "", "there is no profiling"),
)

_SHARED: Final = (
    _STACK,
    _JSON,
    _YES,
    _CONFIG_FILE,
    Option("client", VALUE, "", "the address of a language runtime that has the program"),
    Option("exec-kind", VALUE, "", "who runs this; kept in the history"),
    Option("exec-agent", VALUE, "", "which agent runs this; kept in the history"),
    Option("event-log", VALUE, "", "write engine events to a file, or to tcp://host:port"),
    Option("message", VALUE, "m", "kept in the history"),
    Option("parallel", VALUE, "p", "how many operations at once"),
    Option("target", MANY, "t", "only these URNs"),
    Option("target-dependents", FLAG, "", "and what depends on them"),
    Option("exclude", MANY, "x", "all but these URNs"),
    Option("exclude-dependents", FLAG, "", "and but what depends on them"),
    Option("debug", FLAG, "d", "show debug messages"),
    Option("diff", FLAG, "", "show changes in full"),
    Option("run-program", FLAG, "", "run the program"),
    Option("show-config", FLAG, "", "show the configuration first"),
    Option("show-reads", FLAG, "", "show what is only read"),
    Option("show-replacement-steps", FLAG, "", "show each step of a replacement"),
    Option("show-sames", FLAG, "", "show what does not change"),
    Option("show-full-output", FLAG, "", "show long values in full"),
    Option("show-secrets", FLAG, "", "", "an operation shows no secrets; use `stack output --show-secrets`"),
    Option("suppress-outputs", FLAG, "", "do not show the stack's outputs"),
    Option("suppress-progress", FLAG, "", "show no progress"),
    Option("suppress-permalink", VALUE, "", "taken without effect: there are no links"),
    Option("neo", FLAG, "", "", "there is no such service"),
    Option("copilot", FLAG, "", "", "there is no such service"),
    Option("attach-debugger", FLAG, "", "", "debuggers are not attached"),
    Option("remote", FLAG, "", "", _NO_REMOTE),
)
_EXPECT: Final = Option("expect-no-changes", FLAG, "", "fail (exit code 7) if anything changes")
_CONTINUE: Final = Option("continue-on-error", FLAG, "", "go on with what does not depend on a failure")
_REFRESH: Final = Option("refresh", FLAG, "r", "refresh first")
_REPLACE: Final = Option("replace", MANY, "", "replace these URNs")
_SKIP: Final = Option("skip-preview", FLAG, "f", "do it at once")
_PREVIEW_ONLY: Final = Option("preview-only", FLAG, "", "only show what would be done")
_PENDING: Final = Option("clear-pending-creates", FLAG, "", "forget creations that were under way")
_CONFIG: Final = (
    Option("config", MANY, "c", "set key=value first"),
    Option("config-path", FLAG, "", "the keys of --config are paths"),
)
_NO_POLICIES: Final = (
    Option("policy-pack", MANY, "", "", _NO_POLICY),
    Option("policy-pack-config", MANY, "", "", _NO_POLICY),
)
_UP: Final = (
    *_SHARED,
    Option("policy-pack", MANY, "", "run the policies in this folder"),
    Option("policy-pack-config", MANY, "", "their configuration, a JSON file for each --policy-pack"),
    Option("show-policy-remediations", FLAG, "", "show what policies corrected"),
    *_CONFIG,
    _EXPECT,
    _CONTINUE,
    _REFRESH,
    _REPLACE,
    Option("target-replace", MANY, "", "replace only these URNs"),
)

#: An import runs no program and chooses no targets.
_IMPORT_NAMES: Final = (
    *("stack", "json", "yes", "config-file", "exec-kind", "exec-agent", "event-log", "message", "parallel", "debug"),
    *("diff", "show-config", "suppress-outputs", "suppress-progress", "suppress-permalink"),
)
_IMPORT: Final = tuple(option for option in _SHARED if option.name in _IMPORT_NAMES)
_SKIP_IMPORT: Final = Option("skip-preview", FLAG, "", "do it at once")

_RUN: Final = "engine.cli_operations"
_ST: Final = "engine.cli_stack"
_SE: Final = "engine.cli_state"
_CF: Final = "engine.cli_config"
_IN: Final = "engine.cli_info"
_PL: Final = "engine.cli_plugins"

_COMMANDS: Final = (
    Command((), f"{_IN}:overview", "what there is"),
    Command(
        ("up",),
        f"{_RUN}:up",
        "create or update the stack's resources",
        (
            *_UP,
            _SKIP,
            Option("plan", VALUE, "", "do only what this plan allows"),
            Option("strict", FLAG, "", "do only what the preview said"),
            Option("secrets-provider", VALUE, "", "passphrase"),
        ),
    ),
    Command(
        ("preview",),
        f"{_RUN}:preview",
        "show what `up` would do",
        (
            *_UP,
            Option("save-plan", VALUE, "", "write what would be done to a file, for `up --plan`"),
            Option("import-file", VALUE, "", "write what would be created as a file for `pulumi import`"),
        ),
    ),
    Command(
        ("refresh",),
        f"{_RUN}:refresh",
        "read the real objects into the state",
        (
            *_SHARED,
            *_NO_POLICIES,
            _EXPECT,
            _SKIP,
            _PREVIEW_ONLY,
            _PENDING,
            Option("skip-pending-creates", FLAG, "", "do not ask about creations that were under way"),
            Option("import-pending-creates", MANY, "", "URN, then id, of a creation that was under way"),
            Option("save-plan", VALUE, "", "", _NO_PLANS),
        ),
    ),
    Command(
        ("destroy",),
        f"{_RUN}:destroy",
        "delete the stack's resources",
        (
            *_SHARED,
            *_NO_POLICIES,
            *_CONFIG,
            _CONTINUE,
            _REFRESH,
            _SKIP,
            _PREVIEW_ONLY,
            Option("remove", FLAG, "", "remove the stack, too"),
            Option("exclude-protected", FLAG, "", "leave protected resources"),
        ),
    ),
    Command(("cancel",), f"{_ST}:cancel", "remove the stack's locks", (_STACK, _YES), (0, 1), "[STACK]"),
    Command(
        ("stack",),
        f"{_ST}:show",
        "show the stack",
        (
            _STACK,
            Option("show-name", FLAG),
            Option("show-urns", FLAG, "u"),
            Option("show-ids", FLAG, "i"),
            _SHOW_SECRETS,
        ),
    ),
    Command(
        ("stack", "init"),
        f"{_ST}:init",
        "make a stack",
        (
            _STACK,
            Option("secrets-provider", VALUE, "", "passphrase"),
            Option("no-select", FLAG),
            Option("copy-config-from", VALUE),
        ),
        (0, 1),
        "[STACK]",
    ),
    Command(
        ("stack", "select"),
        f"{_ST}:select",
        "select a stack",
        (
            _STACK,
            Option("create", FLAG, "c", "make it if need be"),
            Option("secrets-provider", VALUE, "", "passphrase"),
        ),
        (0, 1),
        "[STACK]",
    ),
    Command(("stack", "unselect"), f"{_ST}:unselect", "select no stack", (_STACK,)),
    Command(
        ("stack", "ls"),
        f"{_ST}:ls",
        "list the stacks",
        (
            _STACK,
            _JSON,
            Option("all", FLAG, "a", "of all projects"),
            Option("project", VALUE, "p"),
            Option("organization", VALUE, "o"),
            Option("tag", VALUE, "t", "only with this tag: NAME or NAME=VALUE"),
        ),
    ),
    Command(
        ("stack", "rm"),
        f"{_ST}:rm",
        "remove a stack",
        (
            _STACK,
            _YES,
            Option("force", FLAG, "f", "even with resources"),
            Option("preserve-config", FLAG),
            Option("remove-backups", FLAG),
        ),
        (0, 1),
        "[STACK]",
    ),
    Command(("stack", "rename"), f"{_ST}:rename", "rename the stack", (_STACK,), (1, 1), "NAME"),
    Command(
        ("stack", "output"),
        f"{_ST}:output",
        "show the stack's outputs",
        (_STACK, _JSON, _SHOW_SECRETS, Option("shell", FLAG, "", "as shell variables")),
        (0, 1),
        "[NAME]",
    ),
    Command(
        ("stack", "export"),
        f"{_SE}:export",
        "print the state",
        (
            _STACK,
            _SHOW_SECRETS,
            Option("file", VALUE),
            Option("version", VALUE, "", "", "a file backend's updates have no numbers"),
        ),
    ),
    Command(
        ("stack", "import"),
        f"{_SE}:import_",
        "replace the state",
        (_STACK, Option("file", VALUE), Option("force", FLAG, "f")),
    ),
    Command(
        ("stack", "history"),
        f"{_ST}:history",
        "list the updates",
        (_STACK, _JSON, _SHOW_SECRETS, Option("full-dates", FLAG), Option("page", VALUE), Option("page-size", VALUE)),
    ),
    Command(("stack", "tag"), f"{_SE}:tags", "the stack's tags", (_STACK, _JSON)),
    Command(("stack", "tag", "ls"), f"{_SE}:tags", "list the tags", (_STACK, _JSON)),
    Command(("stack", "tag", "get"), f"{_SE}:tag_get", "show a tag", (_STACK,), (1, 1), "NAME"),
    Command(("stack", "tag", "set"), f"{_SE}:tag_set", "set a tag", (_STACK,), (2, 2), "NAME VALUE"),
    Command(("stack", "tag", "rm"), f"{_SE}:tag_rm", "remove a tag", (_STACK,), (1, 1), "NAME"),
    Command(
        ("stack", "change-secrets-provider"),
        "engine.cli_secrets:change",
        "encrypt what is secret with a new passphrase",
        (_STACK, _CONFIG_FILE),
        (1, 1),
        "passphrase",
    ),
    Command(
        ("stack", "graph"),
        "engine.cli_graph:graph",
        "write what needs what as a DOT file, for Graphviz",
        (
            _STACK,
            Option("ignore-parent-edges", FLAG),
            Option("ignore-dependency-edges", FLAG),
            Option("parent-edge-color", VALUE),
            Option("dependency-edge-color", VALUE),
            Option("short-node-name", FLAG, "", "names instead of URNs"),
        ),
        (1, 1),
        "FILE",
    ),
    Command(("state",), f"{_IN}:overview", "edit the state by hand", (_STACK,)),
    Command(
        ("state", "unprotect"),
        f"{_SE}:unprotect",
        "take protection off",
        (_STACK, _YES, Option("all", FLAG)),
        (0, 10_000),
        "[URN...]",
    ),
    Command(
        ("state", "protect"),
        f"{_SE}:protect",
        "protect",
        (_STACK, _YES, Option("all", FLAG)),
        (0, 10_000),
        "[URN...]",
    ),
    Command(
        ("state", "taint"),
        f"{_SE}:taint",
        "have resources replaced by the next update",
        (_STACK, _YES),
        (0, 10_000),
        "URN...",
    ),
    Command(
        ("state", "untaint"),
        f"{_SE}:untaint",
        "have tainted resources not replaced after all",
        (_STACK, _YES, Option("all", FLAG)),
        (0, 10_000),
        "[URN...]",
    ),
    Command(
        ("state", "delete"),
        f"{_SE}:state_delete",
        "forget a resource, without touching the object",
        (
            _STACK,
            _YES,
            Option("force", FLAG, "", "even if it is protected"),
            Option("target-dependents", FLAG, "", "and what depends on it"),
            Option("all", FLAG, "", "forget everything"),
        ),
        (0, 1),
        "[URN]",
    ),
    Command(
        ("state", "rename"),
        f"{_SE}:state_rename",
        "give a resource another name, without touching the object",
        (_STACK, _YES),
        (2, 2),
        "URN NAME",
    ),
    Command(
        ("state", "repair"),
        f"{_SE}:state_repair",
        "put a state that is not valid in order, and drop references to what is not there",
        (_STACK, _YES),
    ),
    Command(("state", "move"), "", "", (), (0, 10_000), "", "export both stacks, move the resources, import both"),
    Command(("state", "edit"), "", "", (), (0, 9), "", "use `stack export`, an editor, and `stack import`"),
    Command(("state", "upgrade"), "", "", (), (0, 9), "", "only the stock Pulumi upgrades a backend without projects"),
    Command(
        ("config",),
        f"{_CF}:show",
        "show the configuration",
        (_STACK, _JSON, _SHOW_SECRETS, _CONFIG_FILE, Option("open", FLAG)),
    ),
    Command(
        ("config", "get"),
        f"{_CF}:get",
        "show a value",
        (_STACK, _JSON, _PATH, _CONFIG_FILE, Option("open", FLAG)),
        (1, 1),
        "KEY",
    ),
    Command(
        ("config", "set"),
        f"{_CF}:set_",
        "set a value",
        (_STACK, _PATH, _CONFIG_FILE, Option("secret", FLAG), Option("plaintext", FLAG), Option("type", VALUE)),
        (1, 2),
        "KEY [VALUE]",
    ),
    Command(
        ("config", "set-all"),
        f"{_CF}:set_all",
        "set values",
        (_STACK, _PATH, _CONFIG_FILE, Option("secret", MANY), Option("plaintext", MANY), Option("json", VALUE)),
    ),
    Command(("config", "rm"), f"{_CF}:rm", "remove a value", (_STACK, _PATH, _CONFIG_FILE), (1, 1), "KEY"),
    Command(("config", "rm-all"), f"{_CF}:rm", "remove values", (_STACK, _PATH, _CONFIG_FILE), (1, 10_000), "KEY..."),
    Command(
        ("config", "cp"),
        f"{_CF}:cp",
        "copy values to another stack",
        (_STACK, _PATH, Option("dest", VALUE, "d")),
        (0, 1),
        "[KEY]",
    ),
    Command(
        ("config", "refresh"),
        f"{_CF}:refresh",
        "take the last update's configuration",
        (_STACK, _CONFIG_FILE, Option("force", FLAG, "f")),
    ),
    Command(("config", "env"), "", "", (), (0, 10), "", "there are no environments"),
    Command(("version",), f"{_IN}:version", "show the version"),
    Command(("whoami",), f"{_IN}:whoami", "show who you are", (_JSON,)),
    Command(("about",), f"{_IN}:about", "show what this is", (_JSON, _STACK)),
    Command(("plugin",), f"{_IN}:overview", "the provider plugins"),
    Command(("plugin", "ls"), f"{_PL}:ls", "list the plugins that are found", (_JSON, Option("project", FLAG, "p"))),
    Command(
        ("plugin", "install"),
        f"{_PL}:install",
        "install a plugin from a file",
        (
            Option("file", VALUE, "f", "an archive, a folder or an executable"),
            Option("reinstall", FLAG, "", "also where it is there already"),
            Option("exact", FLAG, "", "taken without effect: a version is always that one"),
            Option("server", VALUE, "", "", "the embedded engine downloads no plugins"),
        ),
        (0, 3),
        "KIND NAME VERSION",
    ),
    Command(
        ("plugin", "rm"),
        f"{_PL}:rm",
        "remove installed plugins",
        (_YES, Option("all", FLAG, "a", "all of them")),
        (0, 3),
        "[KIND [NAME [VERSIONS]]]",
    ),
    Command(
        ("install",),
        f"{_IN}:install",
        "install what the program needs",
        (
            Option("no-plugins", FLAG),
            Option("no-dependencies", FLAG),
            Option("reinstall", FLAG),
            Option("use-language-version-tools", FLAG),
        ),
    ),
    Command(
        ("import",),
        "engine.cli_import:import_",
        "take objects that exist into the state",
        (
            *_IMPORT,
            _SKIP_IMPORT,
            _PREVIEW_ONLY,
            Option("file", VALUE, "f", "a JSON file of what to import"),
            Option("out", VALUE, "o", "write the program text there"),
            Option("generate-code", FLAG, "", "write program text for what was imported (the default)"),
            Option("protect", FLAG, "", "protect what is imported (the default)"),
            Option("parent", VALUE, "", "the parent, as name=URN"),
            Option("provider", VALUE, "", "the provider, as name=URN"),
            Option("properties", MANY, "", "keep only these inputs, separated by commas"),
            Option("from", VALUE, "", "", "there are no converters; write a file for --file"),
            Option("generate-resources", VALUE, "", "", "there are no converters; write a file for --file"),
        ),
        (0, 3),
        "[TYPE NAME ID]",
    ),
    Command(("new",), "", "", (), (0, 9), "", "there are no project templates; write a Pulumi.yaml"),
    Command(("login",), "", "", (), (0, 9), "", _NO_LOGIN),
    Command(("logout",), "", "", (), (0, 9), "", f"nobody is logged in; {_NO_LOGIN}"),
    Command(("watch",), "", "", (), (0, 9), "", "run `up` when something has changed"),
    Command(("logs",), "", "", (), (0, 9), "", "providers give no logs; ask the cloud's own tools for them"),
    Command(("console",), "", "", (), (0, 9), "", "the backend has no web page; see `pulumi stack`"),
    Command(("env",), "", "", (), (0, 9), "", "there are no environments; use `pulumi config`"),
    Command(("deployment",), "", "", (), (0, 9), "", _NO_REMOTE),
    Command(("org",), "", "", (), (0, 9), "", "the backend has one organization, 'organization'"),
    Command(("policy",), "", "", (), (0, 9), "", "policy packs are run with `pulumi up --policy-pack FOLDER`"),
    Command(("package",), "", "", (), (0, 9), "", "packages come as Python packages"),
    Command(("convert",), "", "", (), (0, 9), "", "programs are not converted"),
    Command(("ai",), "", "", (), (0, 9), "", "there is no such service"),
)

COMMANDS: Final = {command.words: command for command in _COMMANDS}
