//! Functions, procedures, DO, triggers and rules.

use super::tree::{K, Node, Source, Tree, decoded, is_query, name_of, string_of, text_of};
use super::{body, plpgsql};
use crate::statement::{
    Body, CreateEventTrigger, CreateFunction, CreateRule, CreateTrigger, Do, Located, Parameter, Setting,
    TriggerEvent,
};

impl Source<'_> {
    pub(super) fn create_function(&self, node: &Node) -> CreateFunction {
        let options = node.first(K::FUNC_OPTION_LIST);
        let settings = options.as_ref().map(|list| self.function_options(list)).unwrap_or_default();
        let option = |name: &str| {
            let found = settings.iter().rfind(|setting| setting.name == name);
            found.and_then(|setting| setting.value.clone())
        };
        let inline = node.first_of(&[K::ATOMIC_BODY, K::RETURN_STMT]);
        let language = option("language").unwrap_or_else(|| "sql".to_owned());
        let definition = options.as_ref().and_then(|list| list.deep(K::AS_DEFINITION));
        let body = match (inline, definition) {
            (Some(inline), _) => self.inline_body(&inline),
            (None, Some(definition)) => self.string_body(definition.first(K::LITERAL), &language),
            (None, None) => Body { span: self.span_of(node), language: language.clone(), ..Body::default() },
        };
        let returns = node.first(K::RET_TYPE);
        let table = returns.as_ref().and_then(|returns| returns.first(K::RETURN_TABLE_ARG_LIST));
        let columns = table.iter().flat_map(|table| table.every(K::RETURN_TABLE_COLUMN));
        CreateFunction {
            name: node
                .first_of(&[K::FUNCTION_NAME, K::PROCEDURE_NAME])
                .map(|name| self.name(&name))
                .unwrap_or_default(),
            is_procedure: node.kind() == K::CREATE_PROCEDURE,
            or_replace: node.has(K::OR_REPLACE),
            parameters: self.parameters(node),
            returns: returns.and_then(|returns| self.type_in(&returns)),
            returns_table: columns.map(|column| self.parameter(&column)).collect(),
            volatility: option("volatility").map_or("v", |word| initial(&word)).to_owned(),
            is_strict: option("strict").as_deref() == Some("true"),
            is_security_definer: option("security").as_deref() == Some("definer"),
            is_leakproof: option("leakproof").as_deref() == Some("true"),
            settings: settings
                .into_iter()
                .filter_map(|setting| {
                    let name = setting.name.strip_prefix("set ")?.to_owned();
                    Some(Setting { name, ..setting })
                })
                .collect(),
            language,
            body,
        }
    }

    fn parameters(&self, node: &Node) -> Vec<Parameter> {
        let list = node.first(K::PARAM_LIST);
        list.iter().flat_map(|list| list.every(K::PARAM)).map(|param| self.parameter(&param)).collect()
    }

    fn parameter(&self, node: &Node) -> Parameter {
        let mode = match node
            .first_of(&[K::PARAM_OUT, K::PARAM_IN_OUT, K::PARAM_VARIADIC])
            .map(|mode| mode.kind())
        {
            Some(K::PARAM_OUT) => "out",
            Some(K::PARAM_IN_OUT) => "inout",
            Some(_) => "variadic",
            None => "in",
        };
        Parameter {
            mode: mode.to_owned(),
            name: node.first_of(&[K::PARAM_NAME, K::COLUMN_NAME]).map(|name| self.identifier(&name)),
            type_name: self.type_in(node).unwrap_or_default(),
            default: self.clause(node, K::PARAM_DEFAULT),
        }
    }

    /// Options by short names: `volatility`, `strict`, `security`, `leakproof`, `language`, `parallel`, `cost`, `rows`,
    /// and `set` with the setting's name.
    pub(super) fn function_options(&self, list: &Node) -> Vec<Setting> {
        list.children().filter_map(|option| self.function_option(&option)).collect()
    }

    fn function_option(&self, node: &Node) -> Option<Setting> {
        let (name, value) = match node.kind() {
            K::IMMUTABLE | K::STABLE | K::VOLATILE => ("volatility".to_owned(), node.words()),
            K::STRICT_FUNC_OPTION | K::RETURNS_NULL_ON_NULL_INPUT_FUNC_OPTION => {
                ("strict".to_owned(), "true".to_owned())
            }
            K::CALLED_ON_NULL_INPUT_FUNC_OPTION => ("strict".to_owned(), "false".to_owned()),
            K::LEAKPROOF_FUNC_OPTION => ("leakproof".to_owned(), "true".to_owned()),
            K::NOT_LEAKPROOF_FUNC_OPTION => ("leakproof".to_owned(), "false".to_owned()),
            K::SECURITY_DEFINER_FUNC_OPTION => ("security".to_owned(), "definer".to_owned()),
            K::SECURITY_INVOKER_FUNC_OPTION => ("security".to_owned(), "invoker".to_owned()),
            K::LANGUAGE_FUNC_OPTION => ("language".to_owned(), language_of(node)?),
            K::SET_FUNC_OPTION => {
                let param = node.first(K::SET_CONFIG_PARAM)?;
                let name = param.first(K::CONFIG_PARAMETER_REF)?.words().replace([' ', '"'], "");
                let value = param.children().nth(1).map(|value| text_of(&value)).unwrap_or_default();
                let value = value.trim_start_matches('=').trim_start_matches(|c: char| c.is_whitespace());
                let value = value.strip_prefix("to ").or_else(|| value.strip_prefix("TO ")).unwrap_or(value);
                (format!("set {name}"), value.trim().to_owned())
            }
            K::AS_FUNC_OPTION | K::AS_DEFINITION => return None,
            _ => {
                let words = node.words();
                let (name, value) = words.split_once(' ').unwrap_or((&words, ""));
                (name.to_owned(), value.to_owned())
            }
        };
        Some(Setting { name, value: Some(value), span: self.span_of(node) })
    }

    pub(super) fn do_block(&self, node: &Node) -> Do {
        let language = node.first(K::DO_LANGUAGE).and_then(|language| language_of(&language));
        let language = language.unwrap_or_else(|| "plpgsql".to_owned());
        Do { body: self.string_body(node.first(K::LITERAL), &language) }
    }

    /// BEGIN ATOMIC ... END, and RETURN expression.
    fn inline_body(&self, node: &Node) -> Body {
        let statements: Vec<Node> = match node.kind() {
            K::ATOMIC_BODY => node.children().collect(),
            _ => vec![node.clone()],
        };
        let statements = statements.iter().enumerate().map(|(index, node)| {
            let statement = match node.kind() {
                K::RETURN_STMT => crate::statement::Statement::Query(Box::new(self.query(node))),
                _ => self.statement(node),
            };
            self.locate(node, statement, index + 1)
        });
        Body {
            span: self.span_of(node),
            language: "sql".to_owned(),
            statements: statements.collect(),
            is_read: true,
        }
    }

    fn string_body(&self, literal: Option<Node>, language: &str) -> Body {
        let mut body = Body { language: language.to_owned(), ..Body::default() };
        let Some(literal) = literal else { return body };
        body.span = self.span_of(&literal);
        let Some(value) = decoded(&literal) else { return body };
        let inner = self.of_value(&value);
        let statements: Option<Vec<Located>> = match language {
            "plpgsql" => Some(plpgsql::statements(&inner, value.text())),
            "sql" => Some(body::sql(&inner, value.text())),
            _ => None,
        };
        body.is_read = statements.is_some();
        body.statements = statements.unwrap_or_default();
        body
    }

    pub(super) fn create_trigger(&self, node: &Node) -> CreateTrigger {
        let timing = node.first_of(&[K::TIMING_AFTER, K::TIMING_BEFORE, K::TIMING_INSTEAD_OF]);
        let events = node.first(K::TRIGGER_EVENT_LIST);
        let event = |node: Node| match node.kind() {
            K::TRIGGER_EVENT_DELETE => TriggerEvent::Delete,
            K::TRIGGER_EVENT_INSERT => TriggerEvent::Insert,
            K::TRIGGER_EVENT_TRUNCATE => TriggerEvent::Truncate,
            _ => TriggerEvent::Update(self.identifiers(node.every(K::COLUMN_NAME_REF))),
        };
        let constraint = super::table::timing(node);
        CreateTrigger {
            name: self.identifier_in(node, K::TRIGGER).unwrap_or_default(),
            table: node
                .first(K::ON_RELATION)
                .map(|on| self.name_in(&on, K::RELATION_NAME_REF))
                .unwrap_or_default(),
            or_replace: node.has(K::OR_REPLACE),
            is_constraint: node.has(K::CONSTRAINT_KW),
            timing: timing.map(|timing| timing.words()).unwrap_or_default(),
            events: events.iter().flat_map(|events| events.children()).map(event).collect(),
            from: node.first(K::FROM_TABLE).map(|from| self.name_in(&from, K::TABLE_NAME_REF)),
            is_deferrable: constraint.is_deferrable,
            is_initially_deferred: constraint.is_initially_deferred,
            for_each_row: node.has(K::FOR_EACH_ROW),
            condition: self.clause(node, K::WHEN_CONDITION),
            function: self.executed(node),
            has_transition_tables: node.has(K::REFERENCING),
        }
    }

    /// The function behind EXECUTE FUNCTION.
    fn executed(&self, node: &Node) -> crate::statement::ObjectName {
        let call = node.first(K::CALL_EXPR).and_then(|call| call.first_child());
        call.map(|callee| self.name(&callee)).unwrap_or_default()
    }

    pub(super) fn create_event_trigger(&self, node: &Node) -> CreateEventTrigger {
        let tags = node.descendants().filter(|child| child.kind() == K::EVENT_TRIGGER_WHEN);
        let tags = tags.flat_map(|when| when.every(K::LITERAL)).filter_map(|tag| string_of(&tag));
        CreateEventTrigger {
            name: self.identifier_in(node, K::EVENT_TRIGGER).unwrap_or_default(),
            event: node.first(K::EVENT_TRIGGER_EVENT).map(|event| name_of(&event)).unwrap_or_default(),
            tags: tags.collect(),
            function: self.executed(node),
        }
    }

    pub(super) fn create_rule(&self, node: &Node) -> CreateRule {
        let on = node.first(K::RULE_ON);
        let event = on.as_ref().and_then(|on| on.first(K::RULE_EVENT));
        let action = node.first(K::RULE_DO);
        let list =
            action.as_ref().and_then(|action| action.first(K::RULE_STMT_LIST)).or_else(|| action.clone());
        let is_statement = |child: &Node| is_query(child.kind()) || child.kind() == K::NOTIFY;
        let actions: Vec<Node> = list.iter().flat_map(|list| list.children()).filter(is_statement).collect();
        let actions = actions.iter().enumerate();
        CreateRule {
            name: self.identifier_in(node, K::RULE).unwrap_or_default(),
            table: on.as_ref().map(|on| self.name_in(on, K::RELATION_NAME_REF)).unwrap_or_default(),
            or_replace: node.has(K::OR_REPLACE),
            event: event.map(|event| event.words()).unwrap_or_default(),
            is_instead: action.is_some_and(|action| action.has(K::INSTEAD_KW)),
            condition: on.and_then(|on| self.clause(&on, K::WHERE_CLAUSE)),
            actions: actions
                .map(|(index, node)| self.locate(node, self.statement(node), index + 1))
                .collect(),
        }
    }
}

fn initial(volatility: &str) -> &'static str {
    match volatility {
        "immutable" => "i",
        "stable" => "s",
        _ => "v",
    }
}

/// A language's name, which may be a string; in both forms it is folded for looking it up.
fn language_of(node: &Node) -> Option<String> {
    match node.first(K::LITERAL) {
        Some(literal) => Some(string_of(&literal)?.to_lowercase()),
        None => node.first(K::LANGUAGE_REF).map(|language| name_of(&language)),
    }
}
