//! Options in parentheses, options of sequences, and of foreign objects: `name = value` in all their forms.

use super::query::persistence;
use super::tree::{K, Node, Source, Tree, integer_of, name_of, string_of, text_of};
use crate::statement::{SequenceOptions, Setting};

impl Source<'_> {
    /// `(fillfactor = 70, toast.autovacuum_enabled)` in an attribute list that is a direct child.
    pub(crate) fn attributes(&self, node: &Node) -> Vec<Setting> {
        let Some(list) = node.first(K::ATTRIBUTE_LIST) else { return Vec::new() };
        list.every(K::ATTRIBUTE_OPTION).iter().map(|option| self.attribute(option)).collect()
    }

    /// WITH (...) that is a direct child.
    pub(crate) fn with_params(&self, node: &Node) -> Vec<Setting> {
        node.first(K::WITH_PARAMS).map(|params| self.attributes(&params)).unwrap_or_default()
    }

    fn attribute(&self, option: &Node) -> Setting {
        let space = option.first(K::ATTRIBUTE_NAMESPACE).map(|space| name_of(&space) + ".");
        let name = option.first(K::ATTRIBUTE_NAME).map(|name| name_of(&name)).unwrap_or_default();
        Setting {
            name: space.unwrap_or_default() + &name,
            value: option.first(K::ATTRIBUTE_VALUE).map(|value| value_of(&value)),
            span: self.span_of(option),
        }
    }

    /// `(name value, ...)`, as of ANALYZE, VACUUM, EXPLAIN and CLUSTER, from every option that is a direct child.
    pub(crate) fn plain_options(&self, node: &Node, list: K, option: K) -> Vec<Setting> {
        let list = node.first(list);
        list.iter().flat_map(|list| list.every(option)).map(|option| literal_or_word(self, &option)).collect()
    }

    /// OPTIONS (...) that is a direct child, of anything foreign.
    pub(crate) fn foreign_options(&self, node: &Node) -> Vec<Setting> {
        let Some(list) = node.first(K::ALTER_OPTION_LIST) else { return Vec::new() };
        let setting = |option: Node| Setting {
            name: option.first(K::FOREIGN_OPTION_NAME).map(|name| text_of(&name)).unwrap_or_default(),
            value: option.first(K::LITERAL).and_then(|value| string_of(&value)),
            span: self.span_of(&option),
        };
        list.children().map(setting).collect()
    }

    /// Options of a sequence that are direct children.
    pub(crate) fn sequence_options(&self, node: &Node) -> SequenceOptions {
        let mut options = SequenceOptions { span: self.span_of(node), ..SequenceOptions::default() };
        for option in node.children() {
            let option = if option.kind() == K::SET_SEQUENCE_OPTION {
                option.first_child().unwrap_or(option)
            } else {
                option
            };
            self.sequence_option(&option, &mut options);
        }
        options
    }

    fn sequence_option(&self, option: &Node, options: &mut SequenceOptions) {
        let number = || option.expression().as_ref().and_then(integer_of);
        match option.kind() {
            K::OPTION_AS_TYPE => options.type_name = self.type_in(option),
            K::OPTION_INCREMENT => options.increment = number(),
            K::OPTION_MIN_VALUE => options.minimum = Some(number()),
            K::OPTION_NO_MIN_VALUE => options.minimum = Some(None),
            K::OPTION_MAX_VALUE => options.maximum = Some(number()),
            K::OPTION_NO_MAX_VALUE => options.maximum = Some(None),
            K::OPTION_START => options.start = number(),
            K::OPTION_RESTART | K::RESTART => options.restart = Some(number()),
            K::OPTION_CACHE => options.cache = number(),
            K::OPTION_CYCLE => options.cycles = Some(true),
            K::OPTION_NO_CYCLE => options.cycles = Some(false),
            K::OPTION_OWNED_BY => {
                let path = option.first(K::QUALIFIED_COLUMN_NAME_REF);
                options.owned_by = Some(path.map(|path| self.qualified_column(&path)));
            }
            K::OPTION_SEQUENCE_NAME => options.name = option.first(K::SEQUENCE).map(|name| self.name(&name)),
            K::OPTION_LOGGED | K::OPTION_UNLOGGED => {
                options.persistence = option.parent().map(|node| persistence(&node));
            }
            _ => {}
        }
    }
}

/// An option whose first child is its name: `format csv`, `analyze`, `delimiter ','`.
pub(crate) fn literal_or_word(source: &Source, option: &Node) -> Setting {
    let span = source.span_of(option);
    let text = text_of(option);
    match option.first_child().filter(|name| name.kind() != K::LITERAL) {
        Some(name) => Setting {
            name: name_of(&name),
            value: option.children().nth(1).map(|value| value_of(&value)),
            span,
        },
        // Without nodes for name and value: the first word and the rest.
        None => {
            let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
            let literal = option.first(K::LITERAL).and_then(|value| string_of(&value));
            let rest = Some(rest.trim().to_owned()).filter(|rest| !rest.is_empty());
            Setting { name: name.to_lowercase(), value: literal.or(rest), span }
        }
    }
}

/// The value as written, a string without its quotes.
pub(crate) fn value_of(node: &Node) -> String {
    let literal = if node.kind() == K::LITERAL { Some(node.clone()) } else { node.first(K::LITERAL) };
    literal.and_then(|literal| string_of(&literal)).unwrap_or_else(|| text_of(node))
}
