-- The same kinds of work on a file: one large transaction, and small ones that each reach the disk.
create table item(id integer primary key, number int, name text);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
  insert into item select i, i * 7919 % 10007, printf('item %d', i) from n;
commit;
create index item_number on item(number);
update item set number = number + 1 where id = 1;
update item set number = number + 1 where id = 2;
update item set number = number + 1 where id = 3;
update item set number = number + 1 where id = 4;
update item set number = number + 1 where id = 5;
update item set number = number + 1 where id = 6;
update item set number = number + 1 where id = 7;
update item set number = number + 1 where id = 8;
update item set number = number + 1 where id = 9;
update item set number = number + 1 where id = 10;
delete from item where number % 7 = 0;
select count(*), sum(number), max(name) from item;
vacuum;
pragma integrity_check;
