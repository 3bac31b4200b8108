async def test_the_page_says_that_the_password_was_not_taken(erp: Erp, client: httpx.AsyncClient) -> None:
    await create(client)
    answer = await client.post("/workspaces/new", data={**REQUEST, "category": "retail"}, headers=as_("ann", "creator"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/workspaces/{SLUG}-2?said=account-known")
    assert "keeps its own password" in (await client.get(answer.headers["location"], headers=as_())).text


