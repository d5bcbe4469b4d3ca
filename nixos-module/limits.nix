# The limits of memory, CPU and tasks where nobody set others.
{
  ratd = {
    memoryMax = "4G";
    tasksMax = 1024;
  };
  runner = {
    memoryMax = "75%";
    tasksMax = 1024;
  };
  ratq = {
    memoryMax = "50%";
    tasksMax = 1024;
  };
  plugin = {
    memoryMax = "512M";
    cpuQuota = "100%";
    tasksMax = 128;
  };
  runs = { };
}
