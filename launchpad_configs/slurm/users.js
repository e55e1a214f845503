// User of workers, which docker-compose.yaml creates in an empty volume.
const roles = [
  {"role": "readWrite", "db": "<database>"},
  {"role": "readWrite", "db": "<launchpad_database>"}
];
db.getSiblingDB("<auth_database>").createUser(
  {user: "<user>", pwd: process.env["MONGO_PASSWORD"], roles: roles}
);
