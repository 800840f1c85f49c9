"""The terminology as Model Context Protocol tools: a real client, in process and over stdio."""

import asyncio
import sys
from pathlib import Path

import pytest
from mcp import Client, ClientSession, StdioServerParameters, stdio_client

from terminology.library import load_terminology
from terminology.mcp_server import make_server
from terminology.queries import Queries


@pytest.fixture(scope="module")
def server():
    library = load_terminology()
    return make_server(Queries(library.graph), library)


def call(server, tool, **arguments):
    async def run():
        async with Client(server) as client:
            return await client.call_tool(tool, arguments)

    return asyncio.run(run())


def answer(server, tool, **arguments):
    result = call(server, tool, **arguments)
    assert not result.is_error, result.content
    return result.structured_content


def test_the_tools_have_descriptions_for_all_they_take(server):
    async def listed():
        async with Client(server) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in asyncio.run(listed())}
    assert {"lookup", "search", "expand", "subsumes", "translate", "map_header_value"} <= set(tools)
    for tool in tools.values():
        assert tool.description
        for about in tool.input_schema["properties"].values():
            assert about["description"]


def test_lookup_of_a_code_and_of_an_expression(server):
    hand = answer(server, "lookup", code="85151006")
    assert (hand["display"], hand["laterality"], hand["unsided"]) == (
        "Left hand",
        "left",
        "85562004",
    )
    expression = answer(server, "lookup", code="85562004 : 272741003 = 7771000")
    assert expression["equivalent_to"]["code"] == "85151006"


def test_search_expand_and_subsumes(server):
    assert answer(server, "search", text="left han")["concepts"][0]["code"] == "85151006"
    within = answer(server, "search", text="left", within="< 85562004", limit=1)
    assert within["total"] > len(within["concepts"]) == 1
    fingers = answer(server, "expand", ecl="< 7569003 |Finger|", limit=2)
    assert fingers["total"] > len(fingers["concepts"]) == 2
    assert answer(server, "subsumes", code_a="53120007", code_b="85562004") == {
        "outcome": "subsumes"
    }


def test_translate_goes_both_ways(server):
    system = "https://w3id.org/bodysite/CodeSystem/irma-anatomy"
    (target, *_) = answer(server, "translate", system=system, code="414")["targets"]
    back = answer(server, "translate", system="http://snomed.info/sct", code=target["code"])
    assert "414" in {one["code"] for one in back["targets"] if one["system"] == system}


def test_a_whole_irma_code_is_translated_by_all_its_axes(server):
    found = answer(server, "translate", system="irma", code="1121-120-414-700")
    assert [one["code"] for one in found["targets"][:2]] == ["85151006", "85562004"]
    assert {"modality", "plane", "body-system"} <= {one["category"] for one in found["targets"]}
    assert (found["laterality"], found["view"]["code"]) == ("left", "399348003")
    assert [part["code"] for part in found["parts"]] == ["1121", "120", "414", "700"]
    assert found["reason"] is None


@pytest.mark.parametrize(("version", "code"), [("2003", "85856004"), (None, "720593001")])
def test_a_code_is_translated_as_its_version_means_it(server, version, code):
    system = "https://w3id.org/bodysite/CodeSystem/irma-anatomy"
    asked = {"version": version} if version else {}
    found = answer(server, "translate", system=system, code="463", **asked)
    assert found["targets"][0]["code"] == code


def test_a_header_value_is_mapped(server):
    found = answer(server, "map_header_value", value="HAND LI ap")
    assert [site["code"] for site in found["sites"]] == ["85562004"]
    assert found["laterality"] == "left"


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("lookup", {"code": "85562005"}, "check digit"),
        ("lookup", {"code": "85562004 : 272741003"}, "expected"),
        ("expand", {"ecl": "<< 85562004 AND"}, "expected"),
        ("translate", {"system": "http://loinc.org", "code": "1"}, "http://loinc.org"),
        ("expand", {"ecl": "*", "limit": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_answered_is_a_tool_error_with_the_reason(server, tool, arguments, message):
    result = call(server, tool, **arguments)
    assert result.is_error
    assert message in result.content[0].text


def test_the_command_serves_over_stdio():
    command = StdioServerParameters(
        command=str(Path(sys.executable).with_name("bodysite")), args=["terminology", "mcp"]
    )

    async def run():
        async with (
            stdio_client(command) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await session.call_tool("lookup", {"code": "85562004"})

    assert asyncio.run(run()).structured_content["display"] == "Hand"
