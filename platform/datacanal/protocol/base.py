"""The base of every document that crosses a wire."""

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """Frozen and strict about its fields: an unknown field is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")
