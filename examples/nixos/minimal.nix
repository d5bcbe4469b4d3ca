# A machine that is a data platform, for whoever is on it: http://127.0.0.1:8080.
{
  services.rat.enable = true;
}
