from tests.application import PASSWORD, Person


async def test_a_user_registers_logs_in_and_is_known(anyone: Person) -> None:
    registered = await anyone.post("/auth/register", json={"email": " Trader@Example.com ", "password": PASSWORD})
    assert registered.status_code == 201
    user = registered.json()["user"]
    assert (user["email"], user["role"], user["timezone"], user["currency"]) == (
        "trader@example.com",
        "user",
        "UTC",
        "USD",
    )
    logged_in = await anyone.post("/auth/login", json={"email": "TRADER@example.com", "password": PASSWORD})
    assert logged_in.status_code == 200
    answer = logged_in.json()
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] == 7 * 24 * 3600
    assert answer["user"] == user
    me = await anyone.get("/auth/me", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert me.json() == user
