-- Insert, index, group, join; all in memory.
create table item(id integer primary key, number int, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000)
  insert into item select i, i * 7919 % 10007, printf('item %d', i) from n;
create index item_number on item(number);
select count(*), sum(number) from item;
select number % 100 k, count(*), max(name) from item group by k order by 2 desc, 1 limit 3;
select count(*) from item x join item y on y.number = x.id where x.number < 5000;
update item set name = upper(name) where number % 3 = 0;
select count(*) from item where name like 'ITEM%7';
