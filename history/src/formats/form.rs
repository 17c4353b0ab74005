//! The tree that Jepsen's formats are read into: EDN's and JSON's values, as far as a history
//! needs them.
//!
//! Deliberately absent: keywords, symbols and characters as types of their own. A history written
//! in EDN and the same one in JSON must be the same history, and JSON has only strings.

use crate::Value;
use crate::brief::brief;
use crate::number;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One EDN or JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    Nil,
    Bool(bool),
    Int(i64),
    /// A number that is no `i64`, as JSON would write it.
    Number(String),
    /// A string, keyword (without its colon), symbol or character.
    Text(String),
    /// A vector or list.
    Seq(Vec<Form>),
    /// A set: its order means nothing.
    Set(Vec<Form>),
    /// A map, in the order of the text.
    Map(Vec<(Form, Form)>),
    /// `#jepsen.independent/tuple [k v]`: key and value of one of many independent objects.
    Tuple(Box<(Form, Form)>),
    /// A JSON array or object, already read.
    Json(Value),
}

impl From<Value> for Form {
    fn from(value: Value) -> Form {
        match value {
            Value::Null => Form::Nil,
            Value::Bool(b) => Form::Bool(b),
            Value::Int(i) => Form::Int(i),
            Value::String(text) => Form::Text(text.to_string()),
            other => Form::Json(other),
        }
    }
}

impl Form {
    /// What a message calls this.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Form::Nil => "nil",
            Form::Bool(_) => "a boolean",
            Form::Int(_) | Form::Number(_) => "a number",
            Form::Text(_) => "a word or string",
            Form::Seq(_) => "a vector or list",
            Form::Set(_) => "a set",
            Form::Map(_) => "a map",
            Form::Tuple(_) => "a tuple",
            Form::Json(Value::Object(_)) => "an object",
            Form::Json(Value::Array(_)) => "an array",
            Form::Json(_) => "a number",
        }
    }

    /// The same as a JSON value.
    ///
    /// A set becomes a sorted array, so that equal sets are equal values. A map's keys become
    /// strings (`{0 10}` is `{"0":10}`). Errors when two keys of a map become one string.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Form::Nil => Value::Null,
            Form::Bool(b) => Value::Bool(b),
            Form::Int(i) => Value::Int(i),
            Form::Number(text) => number::canonical(&text)?,
            Form::Text(text) => Value::String(text.into()),
            Form::Seq(forms) => Value::Array(into_values(forms)?.into()),
            Form::Set(forms) => {
                let mut values = into_values(forms)?;
                values.sort_unstable();
                values.dedup();
                Value::Array(values.into())
            }
            Form::Map(members) => {
                let mut object: BTreeMap<Arc<str>, Value> = BTreeMap::new();
                for (key, value) in members {
                    let key = key.into_text()?;
                    if object.contains_key(key.as_str()) {
                        return Err(format!("the key {} stands twice in one map", brief(&key)));
                    }
                    object.insert(key.into(), value.into_value()?);
                }
                Value::Object(Arc::new(object))
            }
            Form::Tuple(pair) => Value::Array([pair.0.into_value()?, pair.1.into_value()?].into()),
            Form::Json(value) => value,
        })
    }

    /// A string as it is, anything else as compact JSON.
    pub(super) fn into_text(self) -> Result<String, String> {
        match self {
            Form::Text(text) => Ok(text),
            other => Ok(other.into_value()?.to_string()),
        }
    }
}

fn into_values(forms: Vec<Form>) -> Result<Vec<Value>, String> {
    forms.into_iter().map(Form::into_value).collect()
}
