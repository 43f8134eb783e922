# Starts a program that does nothing, again and again.
i=0
while [ $i -lt 200 ]; do
  /bin/true
  i=$((i + 1))
done
echo $i
