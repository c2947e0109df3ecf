import pytest, sqlalchemy as sa
from tests.catalogue import snapshot, rows, all_rows
from tests.concurrency.harness import Traffic, idle_holder
NAMES=['we"ird', "o'brien", 'a.b', 'with space', 'select', 'MiXed', 'x'*63, '100%s', 'co:lon', 'smile😀', 'back`tick']
@pytest.mark.parametrize("name", NAMES)
def test_names(database, name):
    if database.kind=="mariadb" and '😀' in name: pytest.skip("utf8mb3 identifiers")
    if len(name) > 58 : pytest.skip("twin")
    e=database.engine()
    m=sa.MetaData(); t=sa.Table(name,m,sa.Column("id",sa.Integer,primary_key=True),sa.Column(name+"c",sa.String(20)),sa.Column("n",sa.Integer))
    m.create_all(e)
    with e.begin() as c: c.execute(t.insert(),[{"id":1,name+"c":"a"}])
    assert snapshot(database)
    assert rows(database,name)==[(1,"a",None)]
    assert name in all_rows(database)
    tr=Traffic(database,name)
    with tr.running(): tr.settle()
    tr.assert_no_rows_lost()
    tr.assert_no_errors()
    with idle_holder(database,name): pass
