#!/bin/bash
# A database of 20 MB in a file: built, indexed, queried, changed in transactions, and whole at the end.
file=/tmp/test.db
rm -f $file
sqlite3 $file <<'END'
pragma cache_size = 500;
create table items(id integer primary key, name text, value integer, filler blob);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
insert into items select i, printf('item-%06d', i * 7919 % 60000), (i * 1103515245 + 12345) % 65536, zeroblob(250) from n;
commit;
create index by_name on items(name);
create index by_value on items(value, id);
select count(*), sum(value), min(name), max(name) from items;
select value % 16 as bucket, count(*) from items group by bucket order by bucket limit 5;
select name from items where value between 100 and 110 order by name limit 5;
begin; delete from items where id % 3 = 0; rollback;
select count(*) from items;
begin; update items set value = value + 1 where id % 2 = 0; delete from items where id % 5 = 0; commit;
select count(*), sum(value) from items;
select a.id, b.id from items a join items b on a.value = b.value and a.id < b.id order by a.id, b.id limit 3;
select sum(length(filler)) from items;
pragma integrity_check;
END
sqlite3 $file 'vacuum; pragma integrity_check; select page_count * page_size > 10000000 from pragma_page_count, pragma_page_size;'
sqlite3 $file .dump | wc -l
sqlite3 $file 'select no_such_column from items' 2>/dev/null || echo "status $?"
rm -f $file
