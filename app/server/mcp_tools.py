"""The page's drawing as tools for language models, over the Model Context Protocol: at /gradio_api/mcp, if it is on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ganime.errors import ConfigError

MOST_PICTURES = 8  # in an answer; more are given by their addresses
TOOLS = ("generate", "interpolate", "vary", "steer", "project")  # endpoints; never those of training


def offer_tools() -> None:
    """Have Gradio offer these tools and no others. Raises ConfigError if the package `mcp` is not installed."""
    if find_spec("mcp") is None:
        raise ConfigError("GANIME_MCP needs the package 'mcp', which is not installed. Run: pip install '.[mcp]'")
    from gradio import mcp

    class Server(mcp.GradioMCPServer):
        """Gradio's own server, which knows of no other endpoint: neither to list it nor to call it."""

        def get_tool_to_endpoint(self) -> dict[str, str]:
            every = super().get_tool_to_endpoint()
            return {tool: endpoint for tool, endpoint in every.items() if endpoint.lstrip("/") in TOOLS}

        def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
            """The answer of a tool: Gradio shows single files as pictures, and files inside of something not."""
            return super().postprocess_output_data([part for output in data for part in parts_of(output)], root_url)

    mcp.GradioMCPServer = Server  # pyright: ignore[reportPrivateImportUsage]


def parts_of(output: Any) -> list[Any]:
    """What an answer consists of: a few files as themselves, and a file with facts about it as both."""
    if isinstance(output, list) and len(output) <= MOST_PICTURES:
        return output
    if isinstance(output, dict) and isinstance(output.get("file"), dict):
        return [output["file"], {name: value for name, value in output.items() if name != "file"}]
    return [output]
